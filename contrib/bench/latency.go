package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rowLatency measures one task after another.
func rowLatency(r *run) error {
	n := r.size(2_000, 200)
	c, err := r.rig(1)
	if err != nil {
		return err
	}
	ended, err := r.endings(c.mainNode)
	if err != nil {
		return err
	}
	var tasks, alone sample
	for range r.set.pairs {
		some, err := r.oneByOne(c.mainNode, n/r.set.pairs, ended)
		if err != nil {
			return err
		}
		_, bares, err := bare(n/r.set.pairs, 1)
		if err != nil {
			return err
		}
		tasks, alone = append(tasks, some...), append(alone, bares...)
	}
	r.atMost("p50, less that of fork, exec, wait", once(tasks.median()-alone.median()), "ms", 1.5)
	r.atMost("p99 / p50", once(tasks.quantile(0.99)/tasks.median()), "", 10)
	r.tell("p50", once(tasks.median()), "ms")
	r.tell("p99", once(tasks.quantile(0.99)), "ms")
	r.tell("fork, exec, wait alone: p50", once(alone.median()), "ms")
	r.note("%d tasks; the client submits on its one connection, and hears of the results on the one of its stream of events", len(tasks))
	return nil
}

// endings follows the ends of tasks.
func (r *run) endings(m *mainNode) (<-chan client.Event, error) {
	status, err := m.client.Status(r.ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s how it is: %w", m.name, err)
	}
	f := wire.FollowEvents{After: status.LastEvent, Follow: true, Output: true, Filter: wire.EventFilter{Kinds: []cluster.Kind{cluster.TaskEnded}}}
	ended := make(chan client.Event, 1)
	go func() {
		defer close(ended)
		for e, err := range m.client.Events(r.ctx, f) {
			if err != nil {
				return
			}
			ended <- e
		}
	}()
	return ended, nil
}

// oneByOne submits a task when the one before has ended, and gives the milliseconds that each took.
func (r *run) oneByOne(m *mainNode, n int, ended <-chan client.Event) (s sample, err error) {
	for range n {
		began := time.Now()
		submitted, err := m.client.Submit(r.ctx, []task.Spec{trueTask(0)}, client.SubmitOptions{})
		if err != nil {
			return nil, fmt.Errorf("submit a task: %w", err)
		}
		e, ok := <-ended
		if !ok {
			return nil, fmt.Errorf("follow events: the stream ended: %w", cmp.Or(r.ctx.Err(), r.dead()))
		}
		s = append(s, milliseconds(time.Since(began)))
		if e.Task != submitted.Tasks[0] || e.State != task.Completed {
			return nil, fmt.Errorf("wait for %s: %s is %s", submitted.Tasks[0], e.Task, e.State)
		}
	}
	return s, nil
}

// rowCommand measures the command that a person would type.
func rowCommand(r *run) error {
	c, err := r.rig(1)
	if err != nil {
		return err
	}
	s, _, err := r.often(c.mainNode, r.size(200, 20), "rc-submit", "--wait", "--", "true")
	if err != nil {
		return err
	}
	r.atMost("p50", once(s.median()), "ms", 20)
	r.tell("p99", once(s.quantile(0.99)), "ms")
	return nil
}
