package store

import "syscall"

func kindOf(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(uint32(s.Type)), true // on some it is signed and has 32 bits
}
