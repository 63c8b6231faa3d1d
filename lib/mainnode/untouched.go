package mainnode

import (
	"errors"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// A task that waits and was never given to a device is untouched: the queue has its number, and all else stands on the disk until somebody wants it.
// So a million of them cost the main node some megabytes.

// task is an open task; nil: there is none of this number.
func (c *Core) task(id task.ID) *openTask {
	if t := c.tasks[id]; t != nil || !c.queue.Has(id) {
		return t
	}
	n, err := c.untouched(id)
	if err != nil {
		c.broken = fmt.Errorf("read task %s: %w", id, err)
		return nil
	}
	t := newOpenTask(id, n.Job, &n.Spec, n.Submitted)
	c.tasks[id] = t
	c.touchedInQueue++
	return t
}

// open is how many tasks are not over.
func (c *Core) open() int { return len(c.tasks) + c.queue.Len() - c.touchedInQueue }

// untouched is an untouched task as it was submitted.
func (c *Core) untouched(id task.ID) (store.NewTask, error) {
	if n, ok := c.bodies.get(id); ok {
		return n, nil
	}
	if n, ok := c.batch.Added(id); ok {
		return n, nil
	}
	// Those that were submitted after it are wanted next, mostly.
	page, err := c.db.Untouched(c.ctx, id, readAhead)
	if err == nil && (len(page) == 0 || page[0].ID != id) {
		err = errors.New("it is not there, but waits")
	}
	if err != nil {
		return store.NewTask{}, err
	}
	c.bodies.refill(page)
	return page[0], nil
}

// readAhead is how many tasks are read at once.
const readAhead = 64

// bodies are tasks as they were submitted, of those that were submitted or read just now, so that what is assigned at once need not be read from
// the disk again. The bound keeps a long queue on the disk, where it belongs.
type bodies struct {
	byTask map[task.ID]store.NewTask
	size   int
}

const maxBodies = 4 << 20 // bytes

func costOf(n *store.NewTask) int {
	cost := len(n.Spec.Payload) + 400
	if f := n.Spec.Files; f != nil {
		cost += 250 * (len(f.In) + len(f.Out))
	}
	return cost
}

func (b *bodies) put(n store.NewTask) {
	if cost := costOf(&n); b.size+cost <= maxBodies {
		b.byTask[n.ID] = n
		b.size += cost
	}
}

// refill puts tasks in that are wanted now, in the place of what is not if need be.
func (b *bodies) refill(page []store.NewTask) {
	if b.size > maxBodies/2 {
		*b = newBodies()
	}
	for _, n := range page {
		if _, known := b.byTask[n.ID]; !known {
			b.put(n)
		}
	}
}

func newBodies() bodies { return bodies{byTask: map[task.ID]store.NewTask{}} }

func (b *bodies) get(id task.ID) (store.NewTask, bool) {
	n, ok := b.byTask[id]
	return n, ok
}

func (b *bodies) drop(id task.ID) {
	if n, ok := b.byTask[id]; ok {
		delete(b.byTask, id)
		b.size -= costOf(&n)
	}
}
