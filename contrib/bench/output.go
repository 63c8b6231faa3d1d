package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rowOutput runs a task that prints much more than is kept.
func rowOutput(r *run) error {
	c, err := r.rig(2)
	if err != nil {
		return err
	}
	size := r.size(1<<30, 64<<20) // more than the limit of 8 MiB
	ended, err := r.runOne(c.mainNode, print(size, ""))
	if err != nil {
		return err
	}
	worker, err := inMiB(c.worker.pid(), mostResident)
	if err != nil {
		return err
	}
	main, err := inMiB(c.pid(), mostResident)
	if err != nil {
		return err
	}
	r.atMost("worker: most memory", worker, "MiB", 64)
	r.atMost("main node: most memory", main, "MiB", 100)
	r.isTrue("the result says that the limit was reached", limitIsSaid(&ended))
	r.note("the task printed %s; the memory is that of the daemons alone, without the task and what watches it", number(float64(size)/mebibyte, "MiB"))
	return r.besidePrinter(c, size)
}

// print is a task that prints so many bytes.
func print(size int, to string) task.Spec {
	return shell(fmt.Sprintf("yes 'a line of text as programs print them' | head -c %d%s", size, to))
}

func shell(script string) task.Spec {
	return task.Spec{Type: task.TypeShell, Payload: fmt.Appendf(nil, `{"script":%q}`, script), Priority: task.Urgent}
}

func limitIsSaid(t *task.Task) bool {
	said := t.Reason
	for _, a := range t.Attempts {
		said += " " + a.Reason
	}
	return strings.Contains(said, "output limit of 8 MiB reached")
}

// runOne runs a task to its end, which has to be a good one.
func (r *run) runOne(m *mainNode, spec task.Spec) (t task.Task, err error) {
	s, err := m.client.Submit(r.ctx, []task.Spec{spec}, client.SubmitOptions{})
	if err != nil {
		return t, fmt.Errorf("submit a task: %w", err)
	}
	id := s.Tasks[0].String()
	f := wire.FollowEvents{After: s.Event, Follow: true, Filter: wire.EventFilter{Tasks: s.Tasks, Kinds: []cluster.Kind{cluster.TaskEnded}}}
	for _, err := range m.client.Events(r.ctx, f) {
		if err != nil {
			return t, fmt.Errorf("wait for %s: %w", id, err)
		}
		break
	}
	if t, err = m.client.Task(r.ctx, id); err == nil && t.State != task.Completed {
		err = fmt.Errorf("run %s: it is %s: %s", id, t.State, t.Reason)
	}
	return t, err
}

// besidePrinter measures tasks on one slot, while the other prints, against while cat(1) reads what it prints.
func (r *run) besidePrinter(c *rig, size int) error {
	n := r.size(500, 40)
	numbers, err := r.numbers(n)
	if err != nil {
		return err
	}
	beside := func(other task.Spec) func() (float64, error) {
		return func() (float64, error) { return r.beside(c.mainNode, other, n, numbers) }
	}
	printing, silent, err := r.pairs(beside(print(size, "")), beside(print(size, " | cat >/dev/null")))
	if err != nil {
		return err
	}
	slower := both(printing, silent, func(a, b float64) float64 { return 100 * (1 - a/b) })
	r.atMost("other tasks are slower by", slower.figure(), "%", 10)
	r.tell("— true on the other slot, beside the printer", printing.figure(), "/s")
	r.tell("— beside one whose output cat(1) reads", silent.figure(), "/s")
	return nil
}

// beside is how many times a second true runs on what another task, which runs again and again, leaves.
func (r *run) beside(m *mainNode, other task.Spec, n int, numbers string) (rate float64, err error) {
	stop := make(chan struct{})
	var failed error
	var group sync.WaitGroup
	group.Go(func() {
		for {
			if _, failed = r.runOne(m, other); failed != nil {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	t, err := r.ours(m, numbers, "rc-submit", "--each", "--wait", "--", "true", "{}")
	close(stop)
	group.Wait()
	return t.rate(n), cmp.Or(err, failed)
}
