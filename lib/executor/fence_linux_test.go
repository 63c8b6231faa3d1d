package executor

import (
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// The right to run ends though the process that was to see to it is stopped.
func TestFenceWhileStopped(t *testing.T) {
	for _, pattern := range patterns {
		w := newWitness(t)
		a := w.runWild(pattern, "1h")
		a.Fence, a.FenceGrace = 700*time.Millisecond, 20*time.Millisecond
		begin := time.Now()
		h := newHosted(t, t.TempDir(), a)
		h.ready(t)
		h.cmd.Process.Signal(syscall.SIGSTOP)
		if took := time.Since(begin); took > 600*time.Millisecond {
			t.Logf("%s: not stopped before %v", pattern, took)
		}
		if len(w.holders()) == 0 {
			t.Errorf("%s: it ended too early", pattern)
		}
		if left := w.emptied(1500 * time.Millisecond); left > 0 {
			t.Errorf("%s: %d processes are left", pattern, left)
		}
		h.cmd.Process.Signal(syscall.SIGCONT)
		if status, _, reason := h.result(t); status != task.AttemptLost || reason != reasonFenced {
			t.Errorf("%s: %s, %q", pattern, status, reason)
		}
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
