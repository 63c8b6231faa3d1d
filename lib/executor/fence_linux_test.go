package executor

import (
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// The right to run ends though the process that was to see to it is stopped.
func TestFenceWhileStopped(t *testing.T) {
	const left = 300 * time.Millisecond
	which, proven := []string{"child", "bare", "respawn"}, 0
	if full() {
		which = patterns
	}
	for _, pattern := range which {
		w := newWitness(t)
		h := newHosted(t, w.runWild(pattern, "1h"), left)
		h.ready(t) // it is fenced now
		begin := time.Now()
		h.cmd.Process.Signal(syscall.SIGSTOP)
		if len(w.holders()) > 0 && time.Since(begin) < left {
			proven++ // it was the helper that ended it
		}
		if n := w.emptied(left + 2*time.Second); n > 0 {
			t.Errorf("%s: %d processes are left", pattern, n)
			killAll(w.holders)
		}
		h.cmd.Process.Signal(syscall.SIGCONT)
		if status, _, reason := h.result(t); status != task.AttemptLost || reason != reasonFenced {
			t.Errorf("%s: %s, %q", pattern, status, reason)
		}
	}
	if proven == 0 {
		t.Error("the host was never stopped in time: this device is too slow to prove anything")
	}
}

// Without helpers this process watches, and reaches the group.
func TestFenceDirect(t *testing.T) {
	b := newBench(t, Options{})
	b.slots.off = true
	w := newWitness(t)
	a := w.script("trap '' TERM; sleep 60 & while :; do sleep 60; done")
	a.Fence, a.FenceGrace = 300*time.Millisecond, 20*time.Millisecond
	quick(t, func() { check(t, b.do(t.Context(), a), task.AttemptLost, -1, reasonFenced) })
	w.gone()
}
