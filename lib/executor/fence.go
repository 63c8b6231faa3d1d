package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// fenceError is the cause of a context that ended with the attempt's right to run. The time is the attempt's to end by itself.
type fenceError time.Duration

func (fenceError) Error() string { return reasonFenced }

// Reasons of attempts that are lost.
const (
	reasonFenced = "the device's right to run it ran out"
	reasonKilled = "the process that ran it was killed"
)

// fences are the attempts that run, whose right to run may be set anew.
type fences struct {
	mu      sync.Mutex
	running map[task.Lease]*fence
	halted  bool // attempts stand still
}

// fence is when an attempt must be over. This process watches it; so does the slot helper that runs the attempt, where there is one, since
// this process may be stopped.
type fence struct {
	mu    sync.Mutex
	until time.Duration // by SinceBoot; 0: for ever
	grace time.Duration // for the attempt to end by itself after that
	timer *time.Timer   // nil: no watch was needed yet
	cut   context.CancelCauseFunc
	proc  running // to be told; nil: there is none, or it is gone
}

// Fence sets anew when a running attempt must be over: it is asked to end when that time is up, and made to after the smaller of grace and
// Options.KillGrace; its result is then AttemptLost. It holds even if this process is stopped, where attempts run in slot helpers (see Main).
// The answer is whether the attempt runs.
func (x *Executor) Fence(lease task.Lease, left, grace time.Duration) bool {
	x.fences.mu.Lock()
	f := x.fences.running[lease]
	x.fences.mu.Unlock()
	if f == nil {
		return false
	}
	f.set(left, min(grace, x.options.KillGrace))
	return true
}

// open begins the watch over an attempt. Its context ends with its right to run.
func (x *Executor) openFence(a *Attempt) {
	a.fence = &fence{cut: a.cut}
	if a.Fence != 0 {
		a.fence.set(a.Fence, min(a.FenceGrace, x.options.KillGrace))
	}
	x.fences.mu.Lock()
	defer x.fences.mu.Unlock()
	if x.fences.running == nil {
		x.fences.running = map[task.Lease]*fence{}
	}
	x.fences.running[a.Lease] = a.fence
}

func (x *Executor) closeFence(a *Attempt) {
	x.fences.mu.Lock()
	if x.fences.running[a.Lease] == a.fence {
		delete(x.fences.running, a.Lease)
	}
	x.fences.mu.Unlock()
	f := a.fence
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until, f.proc = 0, nil
	if f.timer != nil {
		f.timer.Stop()
	}
	f.cut(nil)
}

func (f *fence) set(left, grace time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until, f.grace = max(SinceBoot()+left, 1), max(grace, 0)
	if f.proc != nil {
		f.proc.fence(f.until, f.grace)
	}
	f.watch()
}

// Halt has all attempts that are processes stand still, and those that begin from now on, or go on. It is their processes' own affair on Windows. Time
// limits go on.
func (x *Executor) Halt(on bool) {
	x.fences.mu.Lock()
	defer x.fences.mu.Unlock()
	x.fences.halted = on
	for _, f := range x.fences.running {
		f.mu.Lock()
		if f.proc != nil {
			f.proc.halt(on)
		}
		f.mu.Unlock()
	}
}

// tell has a process that was started told of all that changes, or has changed since.
func (x *Executor) tell(f *fence, p running, known time.Duration) {
	x.fences.mu.Lock()
	defer x.fences.mu.Unlock()
	f.tell(p, known)
	if x.fences.halted {
		p.halt(true)
	}
}

// tell has a process told of all changes to come. What was set before it was started it knows.
func (f *fence) tell(p running, known time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proc = p
	if f.until != known {
		p.fence(f.until, f.grace)
	}
}

// now is what is set.
func (f *fence) now() (until, grace time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until, f.grace
}

// watch ends the attempt if its time is up, and looks again later if it is not.
func (f *fence) watch() {
	if f.until == 0 {
		return
	}
	left := f.until - SinceBoot()
	if left <= 0 {
		f.cut(fenceError(f.grace))
		return
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(glance(left), func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.watch()
		})
		return
	}
	f.timer.Reset(glance(left))
}

// glance is how long not to look at the clock where something is due: timers sleep while the device does, so they are not relied on for long.
func glance(left time.Duration) time.Duration {
	if left > 2*time.Second {
		return time.Second
	}
	return min(left, 100*time.Millisecond)
}

// graceOf is how long an attempt has to end by itself.
func (x *Executor) graceOf(ctx context.Context) time.Duration {
	if f, ok := errors.AsType[fenceError](context.Cause(ctx)); ok {
		return time.Duration(f)
	}
	return x.options.KillGrace
}
