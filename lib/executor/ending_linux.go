package executor

import (
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a helper has an attempt stand still, or end with all that it has started.

// ask asks every process of the attempt to end.
func (h *helper) ask(grace time.Duration) {
	h.ending, h.kill = true, SinceBoot()+grace
	syscall.Kill(-h.leader, syscall.SIGTERM)
	for _, e := range descendants(os.Getpid()) {
		if e.group != h.leader {
			syscall.Kill(e.pid, syscall.SIGTERM)
		}
	}
	h.goOn() // or it could not end
}

// halt has every process of the attempt stand still, and looks again and again for what got away, until it goes on.
func (h *helper) halt() {
	if h.halted || h.ending {
		return
	}
	h.halted = true
	h.halts++
	this := h.halts
	h.stop()
	h.repeat(haltEvery, func() time.Duration {
		if !h.halted || h.halts != this {
			return 0
		}
		h.stop()
		return haltEvery
	})
}

const haltEvery = time.Second

// stop stops all processes, those too that are started meanwhile.
func (h *helper) stop() {
	syscall.Kill(-h.leader, syscall.SIGSTOP)
	stopped := map[int]bool{}
	for fresh := true; fresh && len(stopped) < 10_000; {
		fresh = false
		for _, e := range h.tree() {
			if !stopped[e.pid] {
				stopped[e.pid], fresh = true, true
				syscall.Kill(e.pid, syscall.SIGSTOP)
			}
		}
	}
}

// goOn ends what halt has begun.
func (h *helper) goOn() {
	if h.halted || h.slowed {
		h.halted = false
		h.proceed()
	}
}

// proceed has every process go on: children before their parents, who might take them for stopped otherwise.
func (h *helper) proceed() {
	h.slowed = false
	for _, e := range slices.Backward(h.tree()) {
		syscall.Kill(e.pid, syscall.SIGCONT)
	}
	syscall.Kill(-h.leader, syscall.SIGCONT)
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
	h.group.kill()
	killAll(h.tree)
}

func (h *helper) tree() []entry { return descendants(os.Getpid()) }

// waitFor waits for a leader to end, and for every orphan that ends before it.
func (h *helper) waitFor(leader int, v *verdict) {
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
			v.ended(status, &usage, err)
			if h.over == 0 && h.group != nil {
				h.over = h.group.excess()
			}
			h.leader, v.fenced, v.over = 0, h.fenced, h.over
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}

func (v *verdict) ended(status syscall.WaitStatus, usage *syscall.Rusage, err error) {
	if err != nil {
		v.status = noStatus
		return
	}
	v.status, v.cpu, v.memory = uint32(status), time.Duration(usage.Utime.Nano()+usage.Stime.Nano()), peak(usage)
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
