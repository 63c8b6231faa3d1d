package executor

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// slot is a helper as its host sees it.
type slot struct {
	pool     *slots
	pid      int
	launches *os.File  // socket for launches and bells; the poller waits for bells
	orders   int       // socket
	verdicts int       // pipe, which does not block
	since    time.Time // it is idle

	mu      sync.Mutex
	closed  bool
	buf     []byte     // for launches
	last    uint32     // attempt
	line    []*slotted // those that are not over, in order: the first is begun, or about to be
	lines   uint32     // the number of the line: a helper begins none of those that waited when it showed the attempt before them
	long    bool       // the first was shown, and runs on
	taken   bool       // by one that is about to be launched: nobody else may wait in its line yet
	dead    bool       // all verdicts count now, in whatever order
	guard   *time.Timer
	spoiled bool // it waits for what cannot be killed
	quiet   int  // times in a row that the guard has found it stopped

	unread []byte // of verdicts
}

// slotted is an attempt in a helper.
type slotted struct {
	slot    *slot
	attempt uint32
	dir     string
	done    chan exit
	seen    chan view

	progress func(string) // nil: nobody wants to know
}

// open starts a helper. It is this program once more; its file may have been replaced since, and need not be found again.
func (p *slots) open() (s *slot, err error) {
	s = &slot{pool: p, orders: closed, verdicts: closed}
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
	if s.pid, err = startHelper(theirs, p.limits, p.env); err != nil {
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
func startHelper(files [3]int, limits string, env []string) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec("/proc/self/exe", []string{slotName, limits}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
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
	r, message, err := s.begin(l)
	if err != nil {
		return nil, err
	}
	err = send(s.launches, message, l.rights()) // which may wait for the helper
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken = false; err != nil {
		s.line = slices.DeleteFunc(s.line, func(o *slotted) bool { return o == r })
		return nil, err
	}
	return r, nil
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
	if !s.joinable() {
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

// empty takes all out of the line.
func (s *slot) empty() (all []*slotted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.line = s.line, nil
	return all
}

// free says whether it has none, and can be used again.
func (s *slot) free() (free, usable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line) == 0, !s.spoiled && !s.closed
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

// serve hears what the helper says, and waits for its end.
func (s *slot) serve() {
	for s.hear() {
	}
	s.pool.leave(s)
	s.close()
	awaitEnd(s.pid)
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	s.read() // what it has written before it was killed
	for i, r := range s.empty() {
		if i > 0 { // behind the one that ran then
			r.done <- exit{unbegun: true}
			continue
		}
		endProcesses(func(e entry) bool { return e.session == s.pid || livesIn(e.pid, r.owns) })
		r.done <- exit{orphaned: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	stop(s.guard)
	s.launches.Close()
	syscall.Close(s.orders)
	syscall.Close(s.verdicts)
	reap(s.pid)
}

// hear waits for a bell and does what it says; there is none when the helper has ended, or is to.
func (s *slot) hear() bool {
	b, files, err := s.bell()
	if err != nil {
		return false
	}
	s.read()
	switch b.kind {
	case ringShow:
		s.show(b, files)
		s.read()
	case ringLong, ringProgress:
		message := make([]byte, b.size)
		if _, err := io.ReadFull(s.launches, message); err != nil {
			return false
		}
		if b.kind == ringProgress {
			s.say(b.attempt, string(message))
			break
		}
		s.judge(message)
		s.read()
	}
	return true
}

// say hands on what an attempt says of how far it has come.
func (s *slot) say(attempt uint32, text string) {
	s.mu.Lock()
	var tell func(string)
	for _, r := range s.line {
		if r.attempt == attempt {
			tell = r.progress
		}
	}
	s.mu.Unlock()
	if tell != nil {
		tell(text)
	}
}

// bell reads a bell, and what came with it.
func (s *slot) bell() (b bell, files []int, err error) {
	c, err := s.launches.SyscallConn()
	if err != nil {
		return b, nil, err
	}
	var buf [bellSize]byte
	var oob [64]byte
	var failed error
	err = c.Read(func(fd uintptr) (done bool) {
		n, oobn, _, _, err := syscall.Recvmsg(int(fd), buf[:], oob[:], syscall.MSG_CMSG_CLOEXEC)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			return false
		case err != nil:
			failed = err
		case n < bellSize: // they are sent as a whole
			failed = io.EOF
		default:
			files, failed = rights(oob[:oobn])
		}
		return true
	})
	b.get(&buf)
	return b, files, errors.Join(err, failed)
}

// read reads the verdicts that are there.
func (s *slot) read() {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for s.judgeAll() {
		n, err := syscall.Read(s.verdicts, buf[:])
		if n <= 0 && err != syscall.EINTR {
			return
		}
		s.unread = append(s.unread, buf[:max(n, 0)]...)
	}
}

// judgeAll takes the verdicts that were read; more says whether others may be.
func (s *slot) judgeAll() (more bool) {
	for len(s.unread) >= 4 {
		size := 4 + int(binary.LittleEndian.Uint32(s.unread))
		if len(s.unread) < size {
			return true
		}
		if !s.judge(s.unread[:size]) {
			return false
		}
		s.unread = s.unread[:copy(s.unread, s.unread[size:])]
	}
	return true
}

// judge takes a verdict, unless something comes before it that is heard of by a bell: that its attempt is shown, or the long verdict of another. Who hears of the attempt's end finds its helper free, if nobody else is in line.
func (s *slot) judge(message []byte) (taken bool) {
	r := reader(message[4:])
	attempt, shown, e := r.verdict()
	first, ok := s.next(attempt, shown, e.left > 0)
	if first != nil {
		s.pool.give(s)
		first.done <- e
	}
	return ok
}

// next takes the first attempt out of the line, if it is this one. ok is false if something comes before it.
func (s *slot) next(attempt uint32, shown, spoiled bool) (first *slotted, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.line, func(r *slotted) bool { return r.attempt == attempt })
	switch {
	case i < 0:
		return nil, true // it was given up
	case !s.dead && (i > 0 || shown && !s.long):
		return nil, false
	}
	first = s.line[i]
	s.line, s.long, s.spoiled = slices.Delete(s.line, i, i+1), false, spoiled
	return first, true
}

// show lets an attempt be seen that runs on. Those behind it are not begun.
func (s *slot) show(b bell, files []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	var first *slotted
	for _, r := range s.line {
		if r.attempt == b.attempt {
			first = r
		} else {
			r.done <- exit{unbegun: true}
		}
	}
	s.line, s.long = s.line[:0], first != nil
	if first == nil {
		closeAll(files)
		return
	}
	s.line = append(s.line, first)
	if len(files) != 2 { // too many files are open here
		s.command(order{kind: sayBlind, attempt: first.attempt})
	}
	first.seen <- viewOf(files, b.ran)
}

// viewOf is the view through the ends of two pipes. They do not arrive where too many files are open here: then nothing is seen.
func viewOf(files []int, ran time.Duration) view {
	v := view{ran: ran}
	if len(files) != 2 {
		closeAll(files)
		return v
	}
	for i, f := range []**os.File{&v.out, &v.err} {
		syscall.SetNonblock(files[i], true)
		*f = os.NewFile(uintptr(files[i]), "|0")
	}
	return v
}

func closeAll(files []int) {
	for _, fd := range files {
		syscall.Close(fd)
	}
}

const (
	guardEvery = 250 * time.Millisecond // to see whether a helper was stopped while it runs what is short
	guardMost  = 20                     // times in a row that it is found so, after which it is given up
)

// watch sees to it that the helper is not stopped for long by what it runs: those behind that would wait in vain.
func (s *slot) watch() {
	if s.quiet = 0; s.guard == nil {
		s.guard = time.AfterFunc(guardEvery, s.look)
	}
}

func (s *slot) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.long || len(s.line) == 0 {
		s.guard = nil
		return
	}
	if s.quiet++; !isStopped(s.pid) {
		s.quiet = 0
	}
	switch {
	case s.quiet > guardMost:
		syscall.Kill(s.pid, syscall.SIGKILL)
	case s.quiet > 0:
		syscall.Kill(s.pid, syscall.SIGCONT)
	}
	s.guard.Reset(guardEvery)
}

// owns says whether a directory is the attempt's, or in it.
func (r *slotted) owns(dir string) bool { return dir == r.dir || strings.HasPrefix(dir, r.dir+"/") }

func (r *slotted) gone() <-chan exit { return r.done }

func (r *slotted) shown() <-chan view { return r.seen }

// end, as fence, wakes the helper, should the attempt have stopped it.
func (r *slotted) end(grace time.Duration) {
	r.slot.order(r, order{kind: sayEnd, attempt: r.attempt, grace: grace})
	r.slot.signal(r, syscall.SIGCONT)
}

func (r *slotted) fence(until, grace time.Duration) {
	r.slot.order(r, order{kind: sayFence, attempt: r.attempt, until: until, grace: grace})
	r.slot.signal(r, syscall.SIGCONT)
}

func (r *slotted) halt(on bool) {
	o := order{kind: sayGo, attempt: r.attempt}
	if on {
		o.kind = sayHalt
	}
	r.slot.order(r, o)
	r.slot.signal(r, syscall.SIGCONT) // should it have stopped its helper
}

// force does the helper's part where the attempt keeps the helper from it, by stopping it again and again: nothing of an attempt outlives this, so the
// helper goes on, and finds that all is over.
func (r *slotted) force() {
	s := r.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs(r) {
		killAll(func() []entry { return descendants(s.pid) })
		syscall.Kill(s.pid, syscall.SIGCONT)
	}
}

// abandon kills a helper that does not do its part. What it ran is killed then as after any other death of it.
func (r *slotted) abandon() { r.slot.signal(r, syscall.SIGKILL) }

// runs says whether the helper runs the attempt, or is about to, as far as is known here.
func (s *slot) runs(r *slotted) bool { return len(s.line) > 0 && s.line[0] == r }

func (s *slot) order(r *slotted, o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.line, r) {
		s.command(o)
	}
}

func (s *slot) command(o order) {
	// Whoever calls must not wait: a helper that an attempt keeps from reading has orders waiting until there is no room for more. If it is dead,
	// serve notices.
	_, err := syscall.SendmsgN(s.orders, orderMessage(nil, o), nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
	if err == syscall.EAGAIN {
		syscall.Kill(s.pid, syscall.SIGKILL)
	}
}

// signal sends a signal to the helper while it has the attempt: it is not waited for before it has not.
func (s *slot) signal(r *slotted, sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs(r) {
		syscall.Kill(s.pid, sig)
	}
}
