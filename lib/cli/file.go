package cli

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file so that at any time, also after a crash, the old or the new content is there, whole:
// into a temporary file beside it, synced, then renamed. The file gets perm exactly, whatever the umask;
// a symbolic link of that name is replaced.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return WriteFileFrom(path, bytes.NewReader(data), perm)
}

// WriteFileFrom does the same with what a reader brings.
func WriteFileFrom(path string, data io.Reader, perm fs.FileMode) error {
	temporary, err := writeTemporary(path, data, perm)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		if temporary != "" {
			os.Remove(temporary)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	SyncDir(filepath.Dir(path))
	return nil
}

// writeTemporary returns the name of the file, also with an error if it exists.
func writeTemporary(path string, data io.Reader, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if err := f.Chmod(perm); err != nil && os.PathSeparator == '/' { // Windows knows no such modes
		return f.Name(), err
	}
	if _, err := io.Copy(f, data); err != nil {
		return f.Name(), err
	}
	return f.Name(), f.Sync()
}

// SyncDir makes a rename durable where the system can do that; where not, there is nothing to do about it.
func SyncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
