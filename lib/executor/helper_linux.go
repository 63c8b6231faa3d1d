package executor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// helper is a process that runs the attempts of one slot, one after another, for the process that started it, its host. All that an attempt
// starts stays below it, however it hides (PR_SET_CHILD_SUBREAPER), so that an attempt is over when the helper has no child left. It ends when
// its host does, or has no more use for it; never before what it runs.
//
// One thread takes a launch, starts it, waits for it and writes how it ended, so that a short task costs no change of threads, and wakes nobody while
// others are lined up behind it. Another listens for what is to be done meanwhile, on a socket of its own. The timer's comes in where an attempt is to
// end at a time, and every few milliseconds: the host hears then how those ended that are over, and is shown the attempt that is not.
type helper struct {
	launch launched
	in     *inbox // of launches

	mu      sync.Mutex
	attempt uint32
	leader  int           // its process, not yet waited for; 0: none
	alone   bool          // the host is gone
	ending  bool          // the attempt was asked to end
	kill    time.Duration // when it is made to, by SinceBoot
	until   time.Duration // when it is asked to, by SinceBoot; 0: never
	grace   time.Duration // between the two
	halted  bool          // the attempt stands still
	halts   int           // how often any was halted
	slowed  bool          // it stands still for a moment, see throttle
	fenced  bool          // it was asked to because of that time
	timer   *time.Timer
	early   []order // about attempts that have not begun

	progress int // our end of the pipe for it
	says     int // the programs' end
	setup    setup
	home     privateDir
	group    *group // nil: none
	over     excess // the limit that the attempt was ended for
	began    time.Time
	out, err int    // our ends of its pipes
	shown    bool   // the host has them too
	line     uint32 // that attempts of are begun, see slot.lines
	unheard  int    // bytes of verdicts since the last bell
	message  []byte
	tick     *time.Timer
	ticking  bool
	ticked   uint32 // the attempt that ran at the last tick
}

// order is what the host wants of an attempt that runs.
type order struct {
	kind         messageKind
	attempt      uint32
	until, grace time.Duration
}

const (
	usualSlack = 50_000 // nanoseconds by which timers may be late, unless a process wants it otherwise

	slotName    = "rc-workerd: slot" // argv[0] of a helper, which gets lost where the system runs programs of another architecture through a third
	slotMark    = "__slot"           // argv[1]
	slotComm    = "rc-workerd-slot"  // what ps calls it
	slotLaunch  = 3                  // socket for launches and bells
	slotControl = 4                  // socket for orders
	slotVerdict = 5                  // pipe for verdicts
)

// runHelper is all that a helper does.
func runHelper() {
	runtime.LockOSThread() // the first one, which is the process to others: no attempt has rights on it
	debug.SetGCPercent(25) // of the 4 MiB that Go begins with
	h := &helper{in: newInbox(slotLaunch), out: closed, err: closed}
	err := errors.New("it is not said how")
	if len(os.Args) == 3 {
		err = errors.Join(h.prepare(), h.setUp(os.Args[2]), h.openProgress())
	}
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, slotName+": only rc-workerd starts this:", err)
			os.Exit(64)
		}
	}
	check(err)
	go func() {
		runtime.LockOSThread() // programs are killed when the thread that started them ends: this one never does
		check(h.confine())
		h.serve()
	}()
	h.obey()
	select {} // serve ends this process
}

// prepare gives the programs to come a clean start.
func (h *helper) prepare() error {
	for _, fd := range []int{slotLaunch, slotControl} {
		if _, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if name, err := syscall.BytePtrFromString(slotComm); err == nil {
		unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)
	}
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // nobody looks into this process, nor changes it
	closeOnExec()
	unix.SetNonblock(slotVerdict, true)
	// Caught, since what is ignored stays so in the programs. When to end is the host's decision, and goes through the socket.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGALRM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGXCPU, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	return nil
}

// closeOnExec keeps programs from inheriting anything that this process has inherited.
func closeOnExec() {
	syscall.CloseOnExec(slotLaunch)
	syscall.CloseOnExec(slotControl)
	syscall.CloseOnExec(slotVerdict)
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > slotVerdict {
			syscall.CloseOnExec(fd)
		}
	}
}

// serve runs one attempt after another, until the host has no more.
func (h *helper) serve() {
	ring := h.ring
	for {
		m, err := h.in.read(ring)
		if err != nil {
			os.Exit(0)
		}
		r := reader(m[5:])
		r.launch(&h.launch)
		in := closed
		if h.launch.reads {
			in = h.in.file()
		}
		if v := h.run(in); v != nil {
			h.tell(v)
		}
	}
}

// run runs an attempt, and says how it ended when nothing is left of it; nil: the host does not want to know.
func (h *helper) run(in int) *verdict {
	v := &verdict{attempt: h.launch.attempt}
	pid, err := h.start(in)
	if err != nil && err != errOtherLine && !h.launch.keeps { // it may have been given files
		h.home.tidy()
	}
	switch {
	case err == errOtherLine:
		return nil
	case err == errNoTurn:
		v.unbegun = true
		return v
	case err == errNoRight:
		v.fenced = true
		return v
	case err != nil:
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.EINVAL
		}
		v.errno = uint32(errno)
		return v
	}
	h.waitFor(pid, v)
	v.left = uint32(h.sweep(killLimit))
	v.wall = time.Since(h.began)
	if v.left == 0 && !h.launch.keeps {
		v.dirty = h.home.tidy() != nil
	}
	h.drain(v)
	if v.left > 0 { // the host does not use this helper again
		h.tell(v)
		h.ring()
		for h.sweep(killLimit) > 0 {
		}
		os.Exit(0)
	}
	return v
}

// obey does what the host says about the attempt that runs. When the host is gone, nothing may run.
func (h *helper) obey() {
	in := newInbox(slotControl)
	for {
		m, err := in.read(func() {})
		h.mu.Lock()
		if err != nil {
			if h.alone = true; h.leader != 0 {
				h.killTree()
			}
			h.mu.Unlock()
			return
		}
		r := reader(m[5:])
		o := order{kind: messageKind(m[4]), attempt: r.number(), until: r.span(), grace: r.span()}
		if o.attempt > h.attempt {
			h.early = append(h.early, o)
		} else {
			h.do(o)
		}
		h.mu.Unlock()
	}
}

// do carries out an order, unless it is about an attempt that is over.
func (h *helper) do(o order) {
	switch {
	case o.attempt != h.attempt || h.leader == 0:
		return
	case o.kind == sayFence:
		h.until, h.grace = o.until, o.grace
	case o.kind == sayHalt:
		h.halt()
	case o.kind == sayGo:
		h.goOn()
	case o.kind == sayBlind:
		h.swallow()
	case !h.ending:
		h.ask(o.grace)
	}
	h.watch()
}

// Why an attempt is not begun.
var (
	errOtherLine = errors.New("the host gave up the line that it waited in")
	errNoTurn    = errors.New("it is not wanted any more, or it is too late")
	errNoRight   = errors.New("its right to run has run out")
)

// start starts a program, with its input; closed: there is none.
func (h *helper) start(in int) (pid int, err error) {
	defer closeHandle(&in)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alone {
		os.Exit(0)
	}
	l := &h.launch
	if l.line != h.line {
		return 0, errOtherLine
	}
	h.attempt = l.attempt
	orders := h.orders()
	switch now := SinceBoot(); {
	case slices.ContainsFunc(orders, func(o order) bool { return o.kind == sayEnd }), l.beginBy != 0 && now > l.beginBy:
		return 0, errNoTurn
	case l.until != 0 && now >= l.until:
		return 0, errNoRight
	case hostGone():
		os.Exit(0)
	}
	h.shown = false
	h.limitCPU()
	h.group.limit(&l.limits)
	h.began = time.Now()
	if pid, err = h.spawn(in); err != nil {
		return 0, err
	}
	h.limitProgram(pid)
	h.leader, h.ending, h.fenced, h.halted, h.slowed, h.over = pid, false, false, false, false, 0
	h.until, h.grace = l.until, l.untilGrace
	h.watch()
	for _, o := range orders {
		h.do(o)
	}
	h.tickOn()
	return pid, nil
}

// hostGone says whether nobody gives orders any more, even if that was not noticed yet.
func hostGone() bool {
	p := []unix.PollFd{{Fd: slotControl, Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents != 0
}

// orders are those that came early about the attempt that begins. Those about others that were before it are forgotten.
func (h *helper) orders() (mine []order) {
	if len(h.early) == 0 {
		return nil
	}
	h.early = slices.DeleteFunc(h.early, func(o order) bool {
		if o.attempt == h.attempt {
			mine = append(mine, o)
		}
		return o.attempt <= h.attempt
	})
	return mine
}

// repeat does something again and again while the attempt runs that runs now: after the first time, and then after what it answers; 0: that was enough.
func (h *helper) repeat(after time.Duration, do func() (again time.Duration)) {
	attempt := h.attempt
	var once func()
	once = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.attempt != attempt || h.leader == 0 {
			return
		}
		if again := do(); again > 0 {
			time.AfterFunc(again, once)
		}
	}
	time.AfterFunc(after, once)
}

// spawn starts the program that is launched, and makes its pipes.
func (h *helper) spawn(in int) (pid int, err error) {
	null := 0 // this process's own input
	if in == closed {
		in = null
	}
	var stdout, stderr [2]int
	if err := syscall.Pipe2(stdout[:], syscall.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer syscall.Close(stdout[1])
	if err := syscall.Pipe2(stderr[:], syscall.O_CLOEXEC); err != nil {
		syscall.Close(stdout[0])
		return 0, err
	}
	defer syscall.Close(stderr[1])
	h.out, h.err = stdout[0], stderr[0]
	h.readProgress() // of the one before
	h.own(stdout[1], stderr[1])
	pid, err = syscall.ForkExec(h.launch.path, h.launch.argv, &syscall.ProcAttr{
		Dir:   h.launch.dir,
		Env:   h.launch.env,
		Files: []uintptr{uintptr(in), uintptr(stdout[1]), uintptr(stderr[1]), uintptr(h.says)},
		Sys:   h.setup.attributes(h.group),
	})
	if err != nil {
		h.closePipes()
	}
	return pid, err
}
