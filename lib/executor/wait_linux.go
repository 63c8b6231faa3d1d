package executor

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitEnd waits until a child has ended and leaves its entry in the table of processes, if it can.
func awaitEnd(pid int) (held bool) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// peak is the most memory that a process held. Before it became its program it was a copy of this process, and Linux
// counts that in; so a peak below our own is not known.
func peak(usage *syscall.Rusage) int64 {
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil && usage.Maxrss <= own.Maxrss {
		return 0
	}
	return int64(usage.Maxrss) << 10
}
