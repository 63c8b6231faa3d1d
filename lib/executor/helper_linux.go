package executor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
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
// One thread takes a launch, starts it, waits for it and answers, so that a short task costs no change of threads. Another listens for what is
// to be done meanwhile, on a socket of its own. The timer's comes in where an attempt is to end at a time.
type helper struct {
	launch launch

	mu      sync.Mutex
	attempt uint32
	leader  int           // its process, not yet waited for; 0: none
	alone   bool          // the host is gone
	ending  bool          // the attempt was asked to end
	kill    time.Duration // when it is made to, by SinceBoot
	until   time.Duration // when it is asked to, by SinceBoot; 0: never
	grace   time.Duration // between the two
	fenced  bool          // it was asked to because of that time
	timer   *time.Timer
	early   [sayFence + 1]order // about an attempt that has not begun, the newest of each kind
}

// order is what the host wants of an attempt that runs.
type order struct {
	kind         messageKind
	attempt      uint32
	until, grace time.Duration
}

const (
	usualSlack = 50_000 // nanoseconds by which timers may be late, unless a process wants it otherwise

	slotName    = "rc-workerd: slot" // argv[0] of a helper
	slotComm    = "rc-workerd-slot"  // what ps calls it
	slotLaunch  = 3                  // socket for launches and the answers to them
	slotControl = 4                  // socket for orders
)

// runHelper is all that a helper does.
func runHelper() {
	runtime.LockOSThread() // programs are told when the thread that started them ends: it never does
	debug.SetGCPercent(25) // of the 4 MiB that Go begins with
	h := new(helper)
	if err := h.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, slotName+": only rc-workerd starts this:", err)
		os.Exit(64)
	}
	go h.obey()
	h.serve()
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
	unix.Prctl(unix.PR_SET_TIMERSLACK, usualSlack, 0, 0, 0) // which the programs have from this thread
	closeOnExec()
	// Caught, since what is ignored stays so in the programs. When to end is the host's decision, and goes through the socket.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGALRM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	return os.NewSyscallError("sigmask", unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil))
}

// closeOnExec keeps programs from inheriting anything that this process has inherited.
func closeOnExec() {
	syscall.CloseOnExec(slotLaunch)
	syscall.CloseOnExec(slotControl)
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > slotControl {
			syscall.CloseOnExec(fd)
		}
	}
}

// serve runs one attempt after another, until the host has no more.
func (h *helper) serve() {
	in := newInbox(slotLaunch)
	for {
		m, files, err := in.read()
		if err != nil {
			os.Exit(0)
		}
		r := reader(m[5:])
		attempt := r.number()
		r.launch(&h.launch)
		h.run(attempt, files)
	}
}

// run runs an attempt, and says how it ended when nothing is left of it.
func (h *helper) run(attempt uint32, files []int) {
	pid, err := h.start(attempt, files)
	if err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.EINVAL
		}
		h.answer(&verdict{attempt: attempt, errno: uint32(errno)})
		return
	}
	v := h.waitFor(pid)
	v.attempt, v.left = attempt, uint32(h.sweep(killLimit))
	h.answer(&v)
	if v.left > 0 { // the host does not use this helper again
		for h.sweep(killLimit) > 0 {
		}
		os.Exit(0)
	}
}

// obey does what the host says about the attempt that runs. When the host is gone, nothing may run.
func (h *helper) obey() {
	in := newInbox(slotControl)
	for {
		m, _, err := in.read()
		h.mu.Lock()
		if err != nil {
			if h.alone = true; h.leader != 0 {
				h.killTree()
			}
			h.mu.Unlock()
			return // serve ends this process
		}
		r := reader(m[5:])
		o := order{kind: messageKind(m[4]), attempt: r.number(), until: r.span(), grace: r.span()}
		if o.attempt > h.attempt {
			h.early[o.kind] = o
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
	case !h.ending:
		h.ask(o.grace)
	}
	h.watch()
}

// start starts a program.
func (h *helper) start(attempt uint32, files []int) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Dir:   h.launch.dir,
		Env:   h.launch.env,
		Files: []uintptr{uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alone {
		os.Exit(0)
	}
	h.attempt = attempt
	pid, err = syscall.ForkExec(h.launch.path, h.launch.argv, attr)
	for _, fd := range files {
		syscall.Close(fd)
	}
	if err != nil {
		return 0, err
	}
	h.leader, h.ending, h.fenced = pid, false, false
	h.until, h.grace = h.launch.until, h.launch.untilGrace
	h.watch()
	for _, o := range h.early {
		h.do(o)
	}
	return pid, nil
}

// ask asks every process of the attempt to end.
func (h *helper) ask(grace time.Duration) {
	h.ending, h.kill = true, SinceBoot()+grace
	syscall.Kill(-h.leader, syscall.SIGTERM)
	for _, e := range descendants(os.Getpid()) {
		if e.group != h.leader {
			syscall.Kill(e.pid, syscall.SIGTERM)
		}
	}
}

// watch does what is due, and sees to it that it is called again in time if something will be.
func (h *helper) watch() {
	if h.leader == 0 || h.until == 0 && !h.ending {
		return
	}
	now := SinceBoot()
	if h.until != 0 && now >= h.until {
		if !h.ending {
			h.fenced = true
			h.ask(h.grace)
		}
		h.kill = min(h.kill, h.until+h.grace)
	}
	due := h.until
	if h.ending {
		if due = h.kill; now >= h.kill {
			h.killTree()
			due = now + time.Second // should one have hidden from it
		}
		if h.until > now {
			due = min(due, h.until)
		}
	}
	h.wake(due - now)
}

func (h *helper) wake(left time.Duration) {
	if h.timer == nil {
		h.timer = time.AfterFunc(glance(left), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.watch()
		})
		return
	}
	h.timer.Reset(glance(left))
}

// killTree kills the leader, its group, and all others below this process.
func (h *helper) killTree() {
	syscall.Kill(-h.leader, syscall.SIGKILL)
	syscall.Kill(h.leader, syscall.SIGKILL) // should it have joined another group
	killAll(h.tree)
}

func (h *helper) tree() []entry { return descendants(os.Getpid()) }

// waitFor waits for a leader to end, and for every orphan that ends before it.
func (h *helper) waitFor(leader int) verdict {
	for {
		dead, err := awaitAny()
		h.mu.Lock()
		if dead == leader || err != nil {
			syscall.Kill(-leader, syscall.SIGKILL) // while the dead leader still holds the group's number
		}
		pid := dead
		if err != nil {
			pid = leader
		}
		status, usage, err := reap(pid)
		if pid == leader {
			v := verdictOf(status, &usage, err)
			h.leader, v.fenced = 0, h.fenced
			h.mu.Unlock()
			return v
		}
		h.mu.Unlock()
	}
}

func verdictOf(status syscall.WaitStatus, usage *syscall.Rusage, err error) verdict {
	if err != nil {
		return verdict{status: noStatus}
	}
	return verdict{status: uint32(status), cpu: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), memory: peak(usage)}
}

// noStatus is no status that a process can have: it says that how it ended is not known.
const noStatus = 0xffffffff

// awaitAny waits until some child has ended, and leaves its entry in the table of processes.
func awaitAny() (pid int, err error) {
	var info struct { // as the kernel has siginfo for a child
		_   [3]int32
		_   [0]uintptr
		pid int32
		_   [128]byte
	}
	for {
		err = unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return int(info.pid), err
		}
	}
}

// sweep kills and waits for all that is left below this process, and returns how many it cannot. Mostly nothing is, and one question says so.
func (h *helper) sweep(limit time.Duration) (left int) {
	begin := SinceBoot()
	for round := 0; reapAll(); round++ {
		switch {
		case round < 3: // what was in the leader's group is about to be gone
			time.Sleep(100 * time.Microsecond << round)
			continue
		case SinceBoot()-begin > limit:
			return max(len(h.tree()), 1)
		}
		killAll(h.tree)
		time.Sleep(min(time.Millisecond<<min(round-3, 8), 100*time.Millisecond))
	}
	return 0
}

// reapAll waits for those children that have ended, and says whether there are others.
func reapAll() (more bool) {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == nil && pid == 0 {
			return true
		}
		if err == syscall.ECHILD {
			return false
		}
	}
}

// answer tells the host. If it is gone, the next question will say so.
func (h *helper) answer(v *verdict) {
	var b [verdictSize]byte
	v.put(&b)
	for {
		_, err := syscall.SendmsgN(slotLaunch, b[:], nil, nil, syscall.MSG_NOSIGNAL)
		if err != syscall.EINTR {
			return
		}
	}
}
