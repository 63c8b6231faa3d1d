//go:build unix

package store

import (
	"os"
	"syscall"
)

// sameOwner gives a file to the owner of a folder, where root makes it: the main node may be somebody else, who is to read it.
func sameOwner(f *os.File, dir string) error {
	fi, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}
