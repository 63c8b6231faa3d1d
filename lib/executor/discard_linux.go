package executor

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sink is where output goes that is not kept; -1: nowhere.
var sink = sync.OnceValue(func() int {
	fd, err := syscall.Open(os.DevNull, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// discard takes what lies in a pipe, or waits until something does, without copying it: a program that prints more than is kept costs others nothing
// beyond its own work. ok is false where that cannot be done here.
func discard(pipe *os.File) (n int64, ok bool, err error) {
	to := sink()
	conn, e := pipe.SyscallConn()
	if e != nil || to < 0 {
		return 0, false, nil
	}
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		moved, err := unix.Splice(int(fd), nil, to, nil, maxPipe, unix.SPLICE_F_NONBLOCK)
		n, failed = int64(moved), err
		return failed != unix.EAGAIN
	})
	switch {
	case err != nil:
		return 0, true, err
	case failed == unix.EINTR:
		return 0, true, nil
	case failed != nil: // an old kernel, or a filter of system calls
		return 0, false, nil
	case n == 0:
		return 0, true, os.ErrClosed
	}
	return n, true, nil
}
