package proof

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestElsewhere kills a worker in the middle of an exclusive task, with the settings that one gets who sets nothing, and a supervisor that
// starts it again after two seconds, as the units do. The task runs elsewhere in seconds, not when its lease is over.
func TestElsewhere(t *testing.T) {
	const soon = 15 * time.Second
	l := begin(t, "elsewhere")
	l.alongside()
	r := newRig(t, build(t), times{time.Minute, 5 * time.Minute}, 200*time.Millisecond)
	for i := range 2 {
		r.work(fmt.Sprint("w", i+1), 1, 2*time.Second)
	}
	r.online()
	c := newCrowd(t, r)
	c.watch()
	spec := r.spec("exclusive", "moved/0", 30)
	spec.Exclusive = true
	c.sent.Add(1)
	cl := r.client()
	defer cl.Close()
	id := c.submit(c.ctx, cl, "moved", []task.Spec{spec})[0]
	var first []taskProcess
	if !waitFor(ready, func() bool { first = r.taskProcesses(); return len(first) >= 2 }) { // the shell and its sleep
		t.Fatal("the task does not start")
	}
	for _, p := range r.workers {
		if p.name == first[0].device {
			p.signal(syscall.SIGKILL)
		}
	}
	killed := time.Now()
	gone := treeGone(first, first[0].device, killed)
	if gone > time.Second {
		t.Errorf("what a killed worker ran is there for %s", gone)
	}
	var second taskProcess
	if !waitFor(soon, func() bool {
		for _, p := range r.taskProcesses() {
			if p.attempt == 2 {
				second = p
			}
		}
		return second.pid != 0
	}) {
		t.Errorf("the task does not run elsewhere within %s", soon)
	}
	moved := time.Since(killed)
	if second.device == first[0].device {
		t.Errorf("the task runs on %s again, and another device was free", second.device)
	}
	c.cancel(t.Context(), cl, id)
	c.settle(ready)
	wrong := c.collect()
	complain(t, wrong)
	l.report("tasks", len(c.final), "faults", 1, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "overlaps", len(c.overlaps), "zombies", len(c.zombies),
		"elsewhere_ms", moved.Milliseconds(), "tree_gone_ms", gone.Milliseconds(), "violations", len(wrong))
}
