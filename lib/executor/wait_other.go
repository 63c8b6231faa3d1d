//go:build unix && !linux

package executor

import (
	"runtime"
	"syscall"
)

// awaitEnd does not wait: waitid cannot be trusted on these systems (it also returns when a process is stopped).
func awaitEnd(int) (held bool) { return false }

// peak is the most memory that a process held.
func peak(usage *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
