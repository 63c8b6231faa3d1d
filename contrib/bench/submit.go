package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

const submitters = 64

// rowSubmit64 has many clients submit at the same time, each one task after another. No device takes them.
func rowSubmit64(r *run) error {
	n := r.size(300, 20) // of each
	m, err := r.mainNode("main", nil)
	if err != nil {
		return err
	}
	clients := make([]*client.Client, submitters)
	for i := range clients {
		if clients[i], err = r.client(m); err == nil {
			err = clients[i].Ping(r.ctx)
		}
		if err != nil {
			return fmt.Errorf("connect client %d: %w", i, err)
		}
	}
	samples, errs := make([]sample, submitters), make([]error, submitters)
	var group sync.WaitGroup
	began := time.Now()
	for i, c := range clients {
		group.Go(func() { samples[i], errs[i] = r.submitOften(c, n) })
	}
	group.Wait()
	wall := time.Since(began)
	var all sample
	for i := range samples {
		if errs[i] != nil {
			return fmt.Errorf("submit as client %d: %w", i, errs[i])
		}
		all = append(all, samples[i]...)
	}
	r.atLeast("submissions", once(float64(len(all))/wall.Seconds()), "/s", 3_000)
	r.atMost("p99", once(all.quantile(0.99)), "ms", 100)
	r.tell("p50", once(all.median()), "ms")
	return r.queued(m, len(all))
}

func (r *run) submitOften(c *client.Client, n int) (s sample, err error) {
	for range n {
		began := time.Now()
		if _, err := c.Submit(r.ctx, []task.Spec{trueTask(0)}, client.SubmitOptions{}); err != nil {
			return nil, err
		}
		s = append(s, milliseconds(time.Since(began)))
	}
	return s, nil
}

// queued checks that so many tasks wait.
func (r *run) queued(m *mainNode, n int) error {
	status, err := m.client.Status(r.ctx)
	if err == nil && status.TasksQueued != int64(n) {
		err = fmt.Errorf("%d tasks are queued, not the %d that were submitted", status.TasksQueued, n)
	}
	return err
}

// rowSubmitBulk has one command submit many tasks. No device takes them.
func rowSubmitBulk(r *run) error {
	n := r.size(50_000, 3_000)
	numbers, err := r.numbers(n)
	if err != nil {
		return err
	}
	objects, err := r.written("tasks.json", n, func(i int) string {
		return fmt.Sprintf(`{"task_type":"command","payload":{"argv":["true","%d"]}}`, i)
	})
	if err != nil {
		return err
	}
	m, err := r.mainNode("main", nil)
	if err != nil {
		return err
	}
	each, lines, err := r.pairs(
		func() (float64, error) { return r.bulk(m, n, numbers, "--each", "--", "true", "{}") },
		func() (float64, error) { return r.bulk(m, n, objects, "--json") })
	if err != nil {
		return err
	}
	r.atLeast("rc-submit --each", each.figure(), "/s", 50_000)
	r.atLeast("rc-submit --json", lines.figure(), "/s", 50_000)
	r.note("%d tasks a command, until it ends; each prints their ids", n)
	return r.queued(m, 2*n*r.set.pairs)
}

func (r *run) bulk(m *mainNode, n int, input string, args ...string) (float64, error) {
	t, err := r.ours(m, input, "rc-submit", args...)
	if err == nil && t.lines != n {
		err = fmt.Errorf("run rc-submit %s: it printed %d ids for %d tasks", args[0], t.lines, n)
	}
	return t.rate(n), err
}
