package executor

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// Of the names of private directories, and of those of slots.
const (
	dirPrefix  = "attempt-"
	slotPrefix = "slot-"
)

// dirs holds the private directories of attempts that have no slot. To make one costs more than to start a program, so those that were
// left empty, which are most, are used again.
type dirs struct {
	base string
	mu   sync.Mutex
	idle []privateDir
}

// privateDir is the directory of one attempt at a time.
type privateDir struct {
	path  string
	empty trace // that it has shown when it was seen to be empty
}

// take answers an empty directory that nobody else has.
func (d *dirs) take() (privateDir, error) {
	for {
		dir, ok := d.pop()
		if !ok {
			return d.make()
		}
		if dir.isEmpty() {
			return dir, nil
		}
		d.remove(dir.path) // it was meddled with; what is left of it is never met again
	}
}

func (d *dirs) pop() (dir privateDir, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.idle)
	if n == 0 {
		return dir, false
	}
	dir, d.idle = d.idle[n-1], d.idle[:n-1]
	return dir, true
}

func (d *dirs) make() (privateDir, error) {
	path, err := os.MkdirTemp(d.base, dirPrefix+"*")
	return privateDir{path: path}, err
}

// give takes a directory back, and removes it if anything is in it.
func (d *dirs) give(dir privateDir) error {
	if !dir.isEmpty() {
		if err := d.remove(dir.path); err != nil {
			return err
		}
		dir = privateDir{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir.path != "" {
		d.idle = append(d.idle, dir)
	}
	return nil
}

// clean removes every directory, in use or not.
func (d *dirs) clean() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle = nil
	entries, err := os.ReadDir(d.base)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, d.remove(filepath.Join(d.base, e.Name())))
	}
	return errors.Join(errs...)
}

// isEmpty says whether a private directory is as it was made. Whether anything was in it since it was looked at last, the system can mostly say by the
// time of its last change.
func (d *privateDir) isEmpty() bool {
	now := traceOf(d.path)
	if now.certain && now == d.empty {
		return true
	}
	d.empty = trace{}
	if !isEmpty(d.path) {
		return false
	}
	if now.settled() {
		d.empty = now
	}
	return true
}

func isEmpty(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		return false
	}
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	return err == io.EOF
}

// remove removes a private directory with all in it, and never anything outside of base.
func (d *dirs) remove(dir string) error {
	root, err := os.OpenRoot(d.base)
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.Base(dir)
	if root.RemoveAll(name) == nil {
		return nil
	}
	unlock(root, name)
	err = root.RemoveAll(name)
	if err != nil && runtime.GOOS == "windows" { // where that wants what file systems of other makers do not have
		err = os.RemoveAll(dir)
	}
	return err
}

// unlock gives the owner back all rights on the directories of a tree.
func unlock(root *os.Root, name string) {
	// What cannot be unlocked shows when it cannot be removed.
	fs.WalkDir(root.FS(), name, func(path string, e fs.DirEntry, err error) error {
		if e == nil || !e.IsDir() {
			return nil
		}
		if err != nil { // it was unlocked before it was read: it cannot be helped
			return fs.SkipDir
		}
		unlockDir(root, filepath.FromSlash(path))
		return nil
	})
}
