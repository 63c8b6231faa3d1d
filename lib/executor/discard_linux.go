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
		return closed
	}
	return fd
})

// discarder takes what lies in a pipe without copying it, so that a program that prints more than is kept costs others nothing beyond its own work. What it
// has taken last stays in a pipe of its own.
type discarder struct {
	r, w int
	held int64 // bytes in it
}

func newDiscarder() *discarder {
	var fds [2]int
	if sink() == closed || syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK) != nil {
		return &discarder{closed, closed, 0}
	}
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4*tailSize) // or it holds less
	return &discarder{fds[0], fds[1], 0}
}

// discard waits until something lies in the pipe, and takes it. ok is false where that cannot be done here; the rest is for others to read then.
func (d *discarder) discard(pipe *os.File) (n int64, ok bool, err error) {
	conn, e := pipe.SyscallConn()
	if e != nil || d.w == closed {
		return 0, false, nil
	}
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		n, failed = d.take(int(fd))
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

// take has the pipe's bytes stand in the own one too, then takes them out of theirs.
func (d *discarder) take(from int) (n int64, err error) {
	for {
		n, err = unix.Tee(from, d.w, maxPipe, unix.SPLICE_F_NONBLOCK)
		if err != unix.EAGAIN || d.held == 0 || !readable(from) {
			break
		}
		if err := d.forget((d.held + 1) / 2); err != nil { // it is full: small pieces take as much room as large ones
			return 0, err
		}
	}
	if err != nil || n == 0 {
		return 0, err
	}
	d.held += n
	for left := n; left > 0; {
		moved, err := unix.Splice(from, nil, sink(), nil, int(left), 0)
		if err != nil && err != unix.EINTR {
			return 0, err
		}
		left -= max(int64(moved), 0)
	}
	if over := d.held - tailSize; over > 0 {
		return n, d.forget(over)
	}
	return n, nil
}

// forget takes the oldest bytes out of the own pipe.
func (d *discarder) forget(n int64) error {
	for n > 0 {
		moved, err := unix.Splice(d.r, nil, sink(), nil, int(n), unix.SPLICE_F_NONBLOCK)
		if err == unix.EINTR {
			continue
		}
		if err != nil || moved <= 0 {
			return unix.EPIPE
		}
		n -= int64(moved)
		d.held -= int64(moved)
	}
	return nil
}

func readable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&unix.POLLIN != 0
}

// last are the bytes that were taken last.
func (d *discarder) last() (b []byte) {
	b = make([]byte, d.held)
	for n := 0; n < len(b); {
		m, err := syscall.Read(d.r, b[n:])
		if m <= 0 && err != syscall.EINTR {
			return b[:n]
		}
		n += max(m, 0)
	}
	return b
}

func (d *discarder) close() {
	closeHandle(&d.r)
	closeHandle(&d.w)
}
