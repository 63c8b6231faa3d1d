//go:build linux && cgo

package disk

import (
	"context"
	"fmt"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// ledger is what the main node has told its clients, and so must hold for ever.
type ledger struct {
	mu    sync.Mutex
	tasks map[task.ID]task.State // Queued: only that it is there; else how it ended
	order []task.ID
}

func newLedger() *ledger { return &ledger{tasks: map[task.ID]task.State{}} }

// clone is for who begins with a copy of the data.
func (l *ledger) clone() *ledger {
	c := newLedger()
	for _, id := range l.order {
		c.note(id, l.tasks[id])
	}
	return c
}

func (l *ledger) note(id task.ID, s task.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.tasks[id]; !known {
		l.order = append(l.order, id)
	}
	l.tasks[id] = s
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

// open is a task of which it is not known that it ended, counted from the newest.
func (l *ledger) open(back int) (task.ID, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.order) - 1; i >= 0; i-- {
		if l.tasks[l.order[i]] == task.Queued {
			if back == 0 {
				return l.order[i], true
			}
			back--
		}
	}
	return 0, false
}

// submit submits tasks and notes them.
func (l *ledger) submit(ctx context.Context, c *client.Client, specs ...task.Spec) error {
	s, err := c.Submit(ctx, specs, client.SubmitOptions{})
	for _, id := range s.Tasks {
		l.note(id, task.Queued)
	}
	return err
}

// cancel cancels a task and notes it.
func (l *ledger) cancel(ctx context.Context, c *client.Client, id task.ID) error {
	n, err := c.Cancel(ctx, wire.Select{Tasks: []string{id.String()}})
	if err == nil && n == 1 {
		l.note(id, task.Cancelled)
	}
	return err
}

// look notes which tasks have ended.
func (l *ledger) look(ctx context.Context, c *client.Client) error {
	for t, err := range c.Tasks(ctx, wire.ListTasks{}) {
		if err != nil {
			return err
		}
		if t.State.Ended() {
			l.note(t.ID, t.State)
		}
	}
	return nil
}

// missing says what the main node has told and does not hold to; empty says that it begins with nothing.
func (l *ledger) missing(ctx context.Context, c *client.Client) (wrong []string, empty bool, err error) {
	found := map[task.ID]task.State{}
	for t, err := range c.Tasks(ctx, wire.ListTasks{}) {
		if err != nil {
			return nil, false, err
		}
		found[t.ID] = t.State
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.order {
		told := l.tasks[id]
		switch is, there := found[id]; {
		case !there:
			wrong = append(wrong, fmt.Sprintf("%s was acknowledged and is not there", id))
		case told != task.Queued && is != told:
			wrong = append(wrong, fmt.Sprintf("%s was said to be %s and is %s", id, told, is))
		}
	}
	return wrong, len(found) == 0 && len(l.order) > 0, nil
}
