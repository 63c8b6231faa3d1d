package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rowArchive fills the database with ended tasks, and then has half of them removed.
func rowArchive(r *run) error {
	n := r.set.archive
	m, err := r.mainNode("main", nil, "--keep-tasks=0", "--keep-events=0")
	if err != nil {
		return err
	}
	r.tell("ended tasks", once(float64(n)), "")
	if err := r.fillArchive(m, n); err != nil {
		return err
	}
	if err := r.restart(m, "--keep-tasks="+strconv.Itoa(n/2), "--keep-events="+strconv.Itoa(n)); err != nil {
		return err
	}
	r.atMost("start of the main node", once(m.up.Seconds()), "s", 3)
	until := m.began.Add(m.up + time.Duration(r.size(35, 11))*time.Second) // retention has its turn every ten seconds
	if err := r.askArchive(m); err != nil {
		return err
	}
	return r.retention(m, until)
}

// fillArchive has simulated devices end so many tasks.
func (r *run) fillArchive(m *mainNode, n int) error {
	f, err := r.fleet(m, busyDevices, 64)
	if err != nil {
		return err
	}
	if err := f.connect(atATime); err != nil {
		return err
	}
	f.aimFor(n)
	began := time.Now()
	if err := f.open(); err != nil {
		return err
	}
	if err := r.queueTasks(m, n, echo); err != nil {
		return err
	}
	if err := f.wait(); err != nil {
		return err
	}
	r.note("%s tasks were submitted and ended within %s, by %d simulated devices; -archive sets how many", number(float64(n), ""),
		time.Since(began).Round(100*time.Millisecond), busyDevices)
	f.hangUp()
	return nil
}

// askArchive asks for tasks by their ids.
func (r *run) askArchive(m *mainNode) error {
	var ids []task.ID
	for t, err := range m.client.Tasks(r.ctx, wire.ListTasks{Limit: 500}) {
		if err != nil {
			return fmt.Errorf("list tasks: %w", err)
		}
		ids = append(ids, t.ID)
	}
	var s sample
	for range r.size(1_000, 200) {
		began := time.Now()
		// Ids are numbers that grow by one, from the first task on.
		id := ids[0] + task.ID(rand.IntN(r.set.archive))
		if _, err := m.client.Task(r.ctx, id.String()); err != nil {
			return fmt.Errorf("ask for %s: %w", id, err)
		}
		s = append(s, milliseconds(time.Since(began)))
	}
	r.atMost("query by id: p99", once(s.quantile(0.99)), "ms", 10)
	r.tell("query by id: p50", once(s.median()), "ms")
	return nil
}

// retention submits tasks all the time until then, each of which waits for what the main node is doing.
func (r *run) retention(m *mainNode, until time.Time) error {
	before, err := r.ended(m)
	if err != nil {
		return err
	}
	var s sample
	for time.Now().Before(until) {
		began := time.Now()
		if _, err := m.client.Submit(r.ctx, []task.Spec{trueTask(0)}, client.SubmitOptions{}); err != nil {
			return fmt.Errorf("submit while tasks are removed: %w", err)
		}
		s = append(s, milliseconds(time.Since(began)))
		if err := r.sleep(5 * time.Millisecond); err != nil {
			return err
		}
	}
	after, err := r.ended(m)
	if err != nil {
		return err
	}
	if after >= before {
		return fmt.Errorf("retention removed nothing of %d tasks in time", before)
	}
	r.atMost("longest submission while tasks are removed", once(s.quantile(1)), "ms", 100)
	r.tell("p50 of "+number(float64(len(s)), "submissions"), once(s.median()), "ms")
	r.tell("tasks removed meanwhile", once(float64(before-after)), "")
	return nil
}

// ended is how many completed tasks are kept.
func (r *run) ended(m *mainNode) (int64, error) {
	status, err := m.client.Status(r.ctx)
	if err != nil {
		return 0, fmt.Errorf("ask %s how it is: %w", m.name, err)
	}
	return status.Tasks[task.Completed.String()], nil
}
