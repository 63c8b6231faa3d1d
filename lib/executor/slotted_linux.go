package executor

import (
	"slices"
	"strings"
	"syscall"
	"time"
)

// slotted is an attempt in a helper.
type slotted struct {
	slot    *slot
	attempt uint32
	dir     string
	done    chan exit
	seen    chan view

	progress func(string) // nil: nobody wants to know
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
