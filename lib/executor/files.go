package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Files that an attempt is given in its private directory, and that are taken out of it.

// Input is a file that an attempt is given.
type Input struct {
	Name       string // below the private directory, with slashes
	Path       string // of the file that it is a copy of
	Executable bool
}

// errNoInput says that an attempt could not be given its files.
var errNoInput = errors.New("its files")

// give puts copies of files into a private directory: what an attempt does to them is its own affair.
func (x *Executor) give(dir string, inputs []Input) error {
	if len(inputs) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoInput, err)
	}
	defer root.Close()
	for i := range inputs {
		if err := x.giveFile(root, &inputs[i]); err != nil {
			return fmt.Errorf("%w: %s: %w", errNoInput, inputs[i].Name, err)
		}
	}
	return nil
}

func (x *Executor) giveFile(root *os.Root, in *Input) error {
	if err := task.CheckFileName(in.Name); err != nil {
		return err
	}
	if err := x.giveDirs(root, path.Dir(in.Name)); err != nil {
		return err
	}
	from, err := os.Open(in.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	mode := fs.FileMode(0o600)
	if in.Executable {
		mode = 0o700
	}
	to, err := root.OpenFile(filepath.FromSlash(in.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if user, group := x.owner(); user != 0 {
		err = errors.Join(err, to.Chown(user, group))
	}
	return errors.Join(err, to.Close())
}

// giveDirs makes a directory, and those that it is in.
func (x *Executor) giveDirs(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := x.giveDirs(root, path.Dir(dir)); err != nil {
		return err
	}
	name := filepath.FromSlash(dir)
	if err := root.Mkdir(name, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	if user, group := x.owner(); user != 0 {
		return root.Chown(name, user, group)
	}
	return nil
}

// Left finds the files of a private directory that patterns name, as task.Files.Out has them. It never leads out of the directory.
// missing are the patterns that find nothing.
func Left(root *os.Root, patterns []string) (names, missing []string, err error) {
	all := root.FS()
	for _, pattern := range patterns {
		found, err := fs.Glob(all, pattern)
		if err != nil {
			return nil, nil, fmt.Errorf("--out %q: %w", pattern, err)
		}
		before := len(names)
		for _, name := range found {
			err := fs.WalkDir(all, name, func(name string, e fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := fs.Stat(all, name) // what a link leads to, which may be nothing, or outside
				if err == nil && info.Mode().IsRegular() {
					names = append(names, name)
				}
				return nil
			})
			if err != nil {
				return nil, nil, fmt.Errorf("--out %q: %w", pattern, err)
			}
		}
		if len(names) == before {
			missing = append(missing, pattern)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), missing, nil
}
