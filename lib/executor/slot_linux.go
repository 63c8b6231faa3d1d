package executor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// helpers says whether this program can be a slot helper.
var helpers atomic.Bool

// Main is to be the first call of a program that runs attempts: it lets executors start that program again as a slot helper, which runs the
// attempts of one slot and answers for all that they start. There it does not return. Without it, attempts are children of the program itself,
// and what leaves their process group outlives them.
func Main() {
	if len(os.Args) > 0 && os.Args[0] == slotName {
		runHelper()
	}
	helpers.Store(true)
}

const slotIdle = 10 * time.Second // for a helper to be kept without anything to do

// slots are an executor's helpers: one for every attempt that runs, and for a while those that were needed.
type slots struct {
	off  bool
	keep time.Duration
	env  []string

	mu       sync.Mutex
	idle     []*slot
	watching bool // a timer will look whether any was idle for too long
}

// slot is a helper.
type slot struct {
	pool     *slots
	pid      int
	launches *os.File // socket for launches and the answers to them; the poller waits for these
	orders   int
	since    time.Time // it is idle

	mu      sync.Mutex
	closed  bool
	buf     []byte
	attempt uint32
	current *slotted // nil: idle
}

// slotted is an attempt in a helper.
type slotted struct {
	slot    *slot
	attempt uint32
	dir     string
	done    chan exit
}

func (p *slots) prepare(inherit []string) {
	p.off, p.keep = !helpers.Load(), slotIdle
	p.env = append(slices.Clone(inherit), "GOMAXPROCS=2", "GOTRACEBACK=single")
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		p.env = append(p.env, "GOCOVERDIR="+dir)
	}
}

// start starts a program, in a helper where there can be one.
func (x *Executor) start(l launch) (running, error) {
	if x.slots.off {
		return started(start(l))
	}
	for try := 1; ; try++ {
		s, err := x.slots.take()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoSlot, err)
		}
		r, err := s.launch(&l)
		if err == nil {
			return r, nil
		}
		s.close() // it died while it was idle
		if try == 3 {
			return nil, fmt.Errorf("%w: %w", errNoSlot, err)
		}
	}
}

// take answers a helper that nobody else has: the one that was used last, so that those which are not needed grow old.
func (p *slots) take() (*slot, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	return p.open()
}

func (p *slots) give(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.since = time.Now()
	p.idle = append(p.idle, s)
	p.watch()
}

// watch has the helpers ended that nobody needs. A timer for each of them would cost every task more.
func (p *slots) watch() {
	if p.watching || len(p.idle) == 0 {
		return
	}
	p.watching = true
	time.AfterFunc(p.keep-time.Since(p.idle[0].since), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.watching = false
		for len(p.idle) > 0 && time.Since(p.idle[0].since) >= p.keep { // the oldest come first
			p.idle[0].close()
			p.idle = slices.Delete(p.idle, 0, 1)
		}
		p.watch()
	})
}

// drop ends a helper if it is idle.
func (p *slots) drop(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, s); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		s.close()
	}
}

// close ends the helpers that are idle.
func (p *slots) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.close()
	}
	p.idle = nil
}

// open starts a helper. It is this program once more; its file may have been replaced since, and need not be found again.
func (p *slots) open() (s *slot, err error) {
	s = &slot{pool: p}
	var theirs [2]int
	launches := 0
	if launches, theirs[0], err = openSocket(); err != nil {
		return nil, err
	}
	defer syscall.Close(theirs[0])
	if s.orders, theirs[1], err = openSocket(); err != nil {
		syscall.Close(launches)
		return nil, err
	}
	defer syscall.Close(theirs[1])
	syscall.SetNonblock(launches, true)
	s.launches = os.NewFile(uintptr(launches), "slot")
	if s.pid, err = startHelper(theirs, p.env); err != nil {
		s.launches.Close()
		syscall.Close(s.orders)
		return nil, err
	}
	go s.serve()
	return s, nil
}

func openSocket() (ours, theirs int, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], os.NewSyscallError("socketpair", err)
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

// startHelper starts a helper outside of the terminal's session, whose signals are this process's alone.
func startHelper(sockets [2]int, env []string) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec("/proc/self/exe", []string{slotName}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
		Files: []uintptr{null.Fd(), null.Fd(), 2, uintptr(sockets[0]), uintptr(sockets[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// launch hands a program to an idle helper.
func (s *slot) launch(l *launch) (*slotted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, io.EOF
	}
	s.attempt++
	r := &slotted{slot: s, attempt: s.attempt, dir: l.dir, done: make(chan exit, 1)}
	s.buf = launchMessage(s.buf, s.attempt, l)
	s.current = r
	err := send(s.launches, s.buf, syscall.UnixRights(l.files[:]...))
	if err != nil {
		s.current = nil
	}
	if cap(s.buf) > inboxSize {
		s.buf = nil
	}
	return r, err
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
	for v := (verdict{}); s.hear(&v); {
		s.finish(v)
	}
	s.pool.drop(s)
	s.close()
	awaitEnd(s.pid)
	if r := s.finished(); r != nil { // it was killed
		endProcesses(func(e entry) bool { return e.session == s.pid || livesIn(e.pid, r.owns) })
		r.done <- exit{orphaned: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.launches.Close()
	syscall.Close(s.orders)
	reap(s.pid)
}

// hear waits for an answer; there is none when the helper has ended, or is to.
func (s *slot) hear(v *verdict) bool {
	var b [verdictSize]byte
	if _, err := io.ReadFull(s.launches, b[:]); err != nil {
		return false
	}
	v.get(&b)
	return true
}

// owns says whether a directory is the attempt's, or in it.
func (r *slotted) owns(dir string) bool { return dir == r.dir || strings.HasPrefix(dir, r.dir+"/") }

func (s *slot) finish(v verdict) {
	r := s.finished()
	if r == nil || r.attempt != v.attempt {
		return // it was abandoned
	}
	if v.left == 0 {
		s.pool.give(s)
	} else {
		s.close() // it ends when it can
	}
	r.done <- v.exit()
}

func (s *slot) finished() (r *slotted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, s.current = s.current, nil
	return r
}

func (v *verdict) exit() exit {
	switch {
	case v.errno != 0:
		return exit{unstarted: syscall.Errno(v.errno)}
	case v.status == noStatus:
		return exit{lost: errors.New("the system does not say"), left: int(v.left)}
	}
	e := exitOf(syscall.WaitStatus(v.status))
	e.cpu, e.memory, e.fenced, e.left = v.cpu, v.memory, v.fenced, int(v.left)
	return e
}

func (r *slotted) gone() <-chan exit { return r.done }

// end, as fence, wakes the helper, should the attempt have stopped it.
func (r *slotted) end(grace time.Duration) {
	r.slot.order(r, order{kind: sayEnd, attempt: r.attempt, grace: grace})
	r.slot.signal(r, syscall.SIGCONT)
}

func (r *slotted) fence(until, grace time.Duration) {
	r.slot.order(r, order{kind: sayFence, attempt: r.attempt, until: until, grace: grace})
	r.slot.signal(r, syscall.SIGCONT)
}

// force does the helper's part where the attempt keeps the helper from it, by stopping it again and again: nothing of an attempt outlives this, so the
// helper goes on, and finds that all is over.
func (r *slotted) force() {
	s := r.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == r {
		killAll(func() []entry { return descendants(s.pid) })
		syscall.Kill(s.pid, syscall.SIGCONT)
	}
}

// abandon kills a helper that does not do its part. What it ran is killed then as after any other death of it.
func (r *slotted) abandon() { r.slot.signal(r, syscall.SIGKILL) }

func (s *slot) order(r *slotted, o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != r {
		return
	}
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
	if s.current == r {
		syscall.Kill(s.pid, sig)
	}
}

const (
	strayLimit = 5 * time.Second // for killed processes, which are not this one's children, to be gone
	looks      = 5               // that must find none
)

// endProcesses kills those for whom is says so, and all that they have started, but never this process nor whom it descends from.
func endProcesses(is func(entry) bool) (killed, left int) {
	seen := map[int]bool{}
	find := func() []entry {
		all := processes()
		own := ancestors(all)
		return slices.DeleteFunc(below(all, func(e entry) bool { return !own[e.pid] && is(e) }, true), func(e entry) bool { return own[e.pid] })
	}
	pause, quiet := time.Millisecond, 0
	for begin := SinceBoot(); ; time.Sleep(pause) {
		found := find()
		if len(found) > 0 {
			quiet = 0
		} else if quiet++; quiet < looks { // one that is becoming another program cannot be told just then
			continue
		}
		if len(found) == 0 || SinceBoot()-begin > strayLimit {
			return len(seen), len(found)
		}
		for _, e := range found {
			seen[e.pid] = true
		}
		killAll(find)
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// ancestors are this process and those that it descends from.
func ancestors(all []entry) map[int]bool {
	own := map[int]bool{}
	parents := map[int]int{}
	for _, e := range all {
		parents[e.pid] = e.parent
	}
	for pid := os.Getpid(); pid > 0 && !own[pid]; pid = parents[pid] {
		own[pid] = true
	}
	return own
}

// orphanedHelper says whether a process is a helper whose host is gone, and that does not notice because it is stopped: who brings it up now is not
// the program that it is.
func orphanedHelper(e entry) bool {
	var line [64]byte
	if n := readProc(e.pid, "cmdline", line[:]); !strings.HasPrefix(string(line[:n]), slotName+"\x00") {
		return false
	}
	program := func(pid int) string {
		exe, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
		return strings.TrimSuffix(exe, " (deleted)")
	}
	own := program(e.pid)
	return own != "" && program(e.parent) != own
}

// endStrays kills what is still at work in private directories: it outlived an executor that was killed.
func (x *Executor) endStrays() {
	base := x.options.Dir
	real, err := filepath.EvalSymlinks(base)
	if err != nil {
		real = base
	}
	killed, left := endProcesses(func(e entry) bool {
		return orphanedHelper(e) || livesIn(e.pid, func(dir string) bool {
			return strings.HasPrefix(dir, real+"/"+dirPrefix) || strings.HasPrefix(dir, base+"/"+dirPrefix)
		})
	})
	if left > 0 {
		x.options.Log.Error("processes of earlier attempts cannot be killed", "killed", killed-left, "left", left)
	} else if killed > 0 {
		x.options.Log.Warn("killed processes that earlier attempts had left", "processes", killed)
	}
}
