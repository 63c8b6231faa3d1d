//go:build unix

package store

import (
	"path/filepath"
	"syscall"
)

// diskSpace is how large the file system is that a file is on, and how much of it we may still use, in bytes.
func diskSpace(path string) (total, free int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), nil
}
