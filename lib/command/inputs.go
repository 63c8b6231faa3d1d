package command

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/depot"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// The files that rc-submit sends along.

// inputs are the files that were looked at, by path: many tasks may be sent the same.
type inputs struct {
	known map[string]*input
	order []*input
}

type input struct {
	path string
	file task.File
}

// files is what --in and --out say, with a line of input in their holes; nil: nothing.
func (s *Spec) files(line *string) (*task.Files, error) {
	if len(s.In)+len(s.Out) == 0 {
		return nil, nil
	}
	filled := func(texts []string, as func(string) string) []string {
		if line == nil {
			return texts
		}
		texts = slices.Clone(texts)
		for i := range texts {
			texts[i] = strings.ReplaceAll(texts[i], hole, as(*line))
		}
		return texts
	}
	f := &task.Files{Out: filled(s.Out, literally)}
	for _, path := range filled(s.In, func(line string) string { return line }) {
		if err := s.found.add(path, f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// literally is a pattern that means the text itself.
func literally(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(text)
}

// add looks at a file, or at all files of a directory.
func (in *inputs) add(path string, to *task.Files) error {
	name, from, given := strings.Cut(path, "=")
	if _, err := os.Stat(path); !given || err == nil { // a file may be called so
		name, from = nameThere(path), path
	}
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("--in: %w", err)
	}
	if !info.IsDir() {
		return in.addFile(from, filepath.ToSlash(name), info, to)
	}
	if from, err = filepath.EvalSymlinks(from); err != nil {
		return fmt.Errorf("--in: %w", err)
	}
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("--in: %w", err)
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return in.addFile(path, filepath.ToSlash(filepath.Join(name, below)), info, to)
	})
}

// nameThere is how a file is called in the task's directory: as here, if that is below this directory; else by its last name.
func nameThere(path string) string {
	if clean := filepath.Clean(path); filepath.IsLocal(clean) && clean != "." {
		return clean
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return filepath.Base(path)
}

func (in *inputs) addFile(path, name string, info fs.FileInfo, to *task.Files) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("--in %s: not a file", path)
	}
	if len(to.In) == task.MaxFiles {
		return fmt.Errorf("--in: more than %d files", task.MaxFiles)
	}
	known := in.known[path]
	if known == nil {
		sum, size, err := sumOf(path)
		if err != nil {
			return fmt.Errorf("--in: %w", err)
		}
		known = &input{path, task.File{SHA256: sum, Size: size, Executable: info.Mode()&0o111 != 0}}
		if in.known == nil {
			in.known = map[string]*input{}
		}
		in.known[path] = known
		in.order = append(in.order, known)
	}
	f := known.file
	f.Name = name
	to.In = append(to.In, f)
	return nil
}

// send sends what the main node does not have.
func (in *inputs) send(ctx context.Context, c *client.Client, std cli.Std) error {
	var all int64
	for _, i := range in.order {
		all += i.file.Size
	}
	p := newProgress(std, false)
	defer p.clear(false)
	sent := int64(0)
	for _, i := range in.order {
		before := sent
		open := func() (io.ReadSeekCloser, error) { return os.Open(i.path) }
		err := c.SendFile(ctx, &i.file, open, func(n int64) {
			sent += n
			p.say("sending %s: %s of %s", filepath.Base(i.path), cli.Bytes(sent), cli.Bytes(all))
		})
		if err != nil {
			return fmt.Errorf("send %s: %w", i.path, err)
		}
		sent = before + i.file.Size
	}
	return nil
}

func sumOf(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum, err = depot.Sum(countReader{f, &size})
	return sum, size, err
}

// countReader counts what is read.
type countReader struct {
	r io.Reader
	n *int64
}

func (c countReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	*c.n += int64(n)
	return n, err
}
