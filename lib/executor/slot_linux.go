package executor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// slot is a helper as its host sees it.
type slot struct {
	pool     *slots
	pid      int
	cgroup   string    // "": none
	launches *os.File  // socket for launches and bells; the poller waits for bells
	orders   int       // socket
	verdicts int       // pipe, which does not block
	since    time.Time // it is idle

	room       room
	generation int // of the rules that it is confined by

	mu      sync.Mutex
	closed  bool
	buf     []byte     // for launches
	last    uint32     // attempt
	line    []*slotted // those that are not over, in order: the first is begun, or about to be
	lines   uint32     // the number of the line: a helper begins none of those that waited when it showed the attempt before them
	long    bool       // the first was shown, and runs on
	taken   bool       // by one that is about to be launched, or whose files are not looked at yet: nobody else may wait in its line
	guard   *time.Timer
	spoiled bool // it waits for what cannot be killed
	quiet   int  // times in a row that the guard has found it stopped

	unread []byte // of verdicts
}

// open starts a helper. It is this program once more; its file may have been replaced since, and need not be found again.
func (p *slots) open(generation int) (opened *slot, err error) {
	s := &slot{pool: p, generation: generation, orders: closed, verdicts: closed}
	if s.room, err = openRoom(p.base, &p.setup.Sandbox); err != nil {
		return nil, err
	}
	theirs := [3]int{closed, closed, closed}
	launches := closed
	defer func() {
		for i := range theirs {
			closeHandle(&theirs[i])
		}
		if err != nil {
			closeHandle(&launches)
			closeHandle(&s.orders)
			closeHandle(&s.verdicts)
			s.room.close()
			if s.cgroup != "" {
				removeCgroup(s.cgroup)
			}
		}
	}()
	if launches, theirs[0], err = openSocket(); err != nil {
		return nil, err
	}
	if s.orders, theirs[1], err = openSocket(); err != nil {
		return nil, err
	}
	var pipe [2]int
	if err = syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	s.verdicts, theirs[2] = pipe[0], pipe[1]
	syscall.SetNonblock(s.verdicts, true)
	syscall.SetNonblock(launches, true)
	if s.pid, err = p.startHelper(s, theirs); err != nil {
		return nil, err
	}
	s.launches = os.NewFile(uintptr(launches), "slot")
	go s.serve()
	return s, nil
}

func openSocket() (ours, theirs int, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return closed, closed, os.NewSyscallError("socketpair", err)
	}
	return fds[0], fds[1], nil
}

// startHelper starts a helper outside of the terminal's session, whose signals are this process's alone.
func (p *slots) startHelper(s *slot, files [3]int) (pid int, err error) {
	setup := p.setup
	if setup.Cgroup, err = p.cgroups.slot(); err != nil {
		return 0, fmt.Errorf("control group: %w", err)
	}
	s.cgroup, setup.Dir = setup.Cgroup, s.room.home.path
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec("/proc/self/exe", []string{slotName, slotMark, setup.encode()}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   p.env,
		Files: []uintptr{null.Fd(), null.Fd(), 2, uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// close says to the helper that no more will come; serve does the rest.
func (s *slot) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		if c, err := s.launches.SyscallConn(); err == nil {
			c.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
		}
		syscall.Shutdown(s.orders, syscall.SHUT_RDWR)
	}
}

// launch hands a program to an idle helper.
func (s *slot) launch(l *launch) (*slotted, error) {
	err := s.room.there()
	if err == nil {
		err = l.settle(s.room.home.path, func() error { return s.vacate(l) })
	}
	if err != nil {
		return nil, err
	}
	r, message, err := s.begin(l)
	if err != nil {
		return nil, err
	}
	err = send(s.launches, message, l.rights()) // which may wait for the helper
	if s.launched(r, l.keeps, err); err != nil {
		return nil, err
	}
	s.pool.give(s) // should it be over already
	return r, nil
}

// launched lets others wait in line from now on, unless what this one leaves is kept until it was looked at.
func (s *slot) launched(r *slotted, kept bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken = kept && err == nil; err != nil {
		s.line = slices.DeleteFunc(s.line, func(o *slotted) bool { return o == r })
	}
}

func (s *slot) begin(l *launch) (*slotted, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, io.EOF
	}
	r, message := s.made(l)
	s.enter(r)
	return r, message, nil
}

// append lines a program up behind those that the helper has. It never waits.
func (s *slot) append(l *launch) (*slotted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joinable() || l.keeps || s.room.there() != nil || l.settle(s.room.home.path, nil) != nil {
		return nil, errNoLine
	}
	r, message := s.made(l)
	if len(message) > lineSize { // it might be sent in part
		return nil, errNoLine
	}
	err := errNoLine
	if c, e := s.launches.SyscallConn(); e == nil {
		c.Control(func(fd uintptr) {
			_, err = syscall.SendmsgN(int(fd), message, l.rights(), nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		})
	}
	if err != nil {
		return nil, errNoLine
	}
	s.enter(r)
	return r, nil
}

// made makes an attempt and the message that launches it.
func (s *slot) made(l *launch) (*slotted, []byte) {
	s.last++
	r := &slotted{slot: s, attempt: s.last, dir: l.dir, done: make(chan exit, 1), seen: make(chan view, 1), progress: l.progress}
	message := launchMessage(s.buf, r.attempt, s.lines, l)
	if s.buf = message; cap(message) > inboxSize {
		s.buf = nil
	}
	return r, message
}

// vacate has the private directory be empty for others, after one whose files were to be looked at.
func (s *slot) vacate(l *launch) error {
	if !l.keeps {
		return nil
	}
	err := s.room.home.tidy()
	if s.room.there() != nil { // it was removed with its helper
		err = nil
	}
	s.mu.Lock()
	s.taken = false
	s.spoiled = s.spoiled || err != nil
	s.mu.Unlock()
	s.pool.give(s)
	return err
}

// rights are the descriptors that go with a launch.
func (l *launch) rights() []byte {
	if l.stdin == nil {
		return nil
	}
	return syscall.UnixRights(int(l.stdin.Fd()))
}

// enter has an attempt in line.
func (s *slot) enter(r *slotted) {
	s.line = append(s.line, r)
	if len(s.line) == 1 {
		s.long = false
		s.watch()
	}
}

// waiting is how many attempts the helper has; ok says whether others may wait behind them.
func (s *slot) waiting() (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line), s.joinable()
}

// joinable says whether others may wait in its line.
func (s *slot) joinable() bool { return !s.closed && !s.long && !s.taken && !s.spoiled }

// take keeps others out until the one is launched that it was taken for.
func (s *slot) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = true
}

// free says whether it has none, nor will in a moment, and can be used again.
func (s *slot) free() (free, usable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line) == 0 && !s.taken, !s.spoiled && !s.closed
}

// send sends a message, and descriptors with its first byte.
func send(socket *os.File, message, rights []byte) error {
	c, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Write(func(fd uintptr) (done bool) {
		for len(message) > 0 {
			n, err := syscall.SendmsgN(int(fd), message, rights, nil, syscall.MSG_NOSIGNAL)
			switch err {
			case nil:
				message, rights = message[n:], nil
			case syscall.EINTR:
			case syscall.EAGAIN:
				return false
			default:
				failed = os.NewSyscallError("sendmsg", err)
				return true
			}
		}
		return true
	})
	return errors.Join(err, failed)
}
