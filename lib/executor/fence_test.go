//go:build unix

package executor

import (
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// An attempt is over when its right to run is.
func TestFence(t *testing.T) {
	b := newBench(t, Options{})
	w := newWitness(t)
	for _, a := range []Attempt{
		attempt(t, "sleep", task.Sleep{Seconds: 60}),
		w.script("sleep 60; true"),
		w.script("trap '' TERM; echo ready; while :; do sleep 60; done"),
	} {
		a.Fence, a.FenceGrace = 300*time.Millisecond, 50*time.Millisecond
		start := time.Now()
		check(t, b.do(t.Context(), a), task.AttemptLost, -1, reasonFenced)
		if took := time.Since(start); took < 300*time.Millisecond || took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	}
	w.gone()
}

// It may end by itself in the time that it is given for that.
func TestFenceGrace(t *testing.T) {
	b := newBench(t, Options{})
	w := newWitness(t)
	a := w.script("trap 'echo bye; exit 0' TERM; echo ready; sleep 60 & wait")
	b.each = func() {
		if b.out.Len() == len("ready\n") {
			b.Fence(a.Lease, 100*time.Millisecond, time.Minute)
		}
	}
	check(t, b.do(t.Context(), a), task.AttemptLost, -1, reasonFenced)
	b.printed("ready\nbye\n", "")
	w.gone()
}

// One whose right to run has ended is not begun.
func TestFencePast(t *testing.T) {
	b := newBench(t, Options{})
	a := attempt(t, "shell", task.Shell{Script: "echo ran"})
	a.Fence = -time.Second
	if r := b.do(t.Context(), a); r.Status != task.AttemptLost || r.Reason != reasonFenced {
		t.Errorf("%+v", r)
	}
	b.printed("", "")
}

// A renewal sets the time anew, further away and nearer.
func TestFenceRenewed(t *testing.T) {
	b := newBench(t, Options{})
	if b.Fence(task.Lease{Task: 7, Attempt: 2, Token: "x"}, time.Second, 0) {
		t.Error("an attempt that does not run was given time")
	}
	a := attempt(t, "shell", task.Shell{Script: "echo ready; sleep 0.5"})
	a.Fence = time.Minute
	b.each = func() {
		if !b.Fence(a.Lease, 300*time.Millisecond, 0) || !b.Fence(a.Lease, time.Minute, 0) {
			t.Error("it does not run")
		}
	}
	check(t, b.do(t.Context(), a), task.AttemptCompleted, 0, "")

	a = attempt(t, "shell", task.Shell{Script: "echo ready; sleep 60"})
	a.Fence = time.Minute
	b.each = func() { b.Fence(a.Lease, 100*time.Millisecond, 0) }
	quick(t, func() { check(t, b.do(t.Context(), a), task.AttemptLost, -1, reasonFenced) })

	a.Fence = 0 // and from never
	quick(t, func() { check(t, b.do(t.Context(), a), task.AttemptLost, -1, reasonFenced) })
}
