package executor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// room is where the attempts of a slot work, one after another: the private directory of each, which is empty when it begins. It stands in a directory of
// its own, in which no attempt may do anything, so that no rights on it reach further.
type room struct {
	top  string
	home privateDir
}

const homeName = "home"

// openRoom makes a room below a folder.
func openRoom(base string, s *Sandbox) (r room, err error) {
	if err = os.MkdirAll(base, 0o700); err != nil { // should somebody have cleaned up too well
		return r, err
	}
	if r.top, err = os.MkdirTemp(base, slotPrefix+"*"); err != nil {
		return r, err
	}
	r.home.path = filepath.Join(r.top, homeName)
	if err = os.Mkdir(r.home.path, 0o700); err == nil && s.User != 0 { // they have to get to what is theirs
		err = errors.Join(os.Chmod(base, 0o711), os.Chmod(r.top, 0o711), os.Chown(r.home.path, s.User, s.Group))
	}
	if err != nil {
		os.RemoveAll(r.top)
	}
	return r, err
}

// close removes the room with all in it.
func (r *room) close() error {
	if r.top == "" {
		return nil
	}
	return (&dirs{base: filepath.Dir(r.top)}).remove(r.top)
}

// there says whether the room is there. The error is errNoDir.
func (r *room) there() error {
	if _, err := os.Lstat(r.home.path); err != nil {
		return errors.Join(errNoDir, err)
	}
	return nil
}

// tidy has a private directory be as it was made, but for whose it is.
func (d *privateDir) tidy() error {
	if d.isEmpty() {
		return nil
	}
	if info, err := os.Lstat(d.path); err != nil || !info.IsDir() { // it was removed, or another thing is in its place
		return errors.Join(os.RemoveAll(d.path), os.Mkdir(d.path, 0o700))
	}
	if err := os.Chmod(d.path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	all := &dirs{base: d.path}
	for _, e := range entries {
		if e := all.remove(filepath.Join(d.path, e.Name())); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
