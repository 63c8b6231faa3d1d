package mainnode

import (
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
)

// A task that may lose one device more before it is set aside gets that one to itself: what it takes down then, it takes down alone. So a task
// that takes down its devices cannot have others set aside that only happened to be beside it.

// lastChance says whether the next loss sets the task aside.
func (t *openTask) lastChance() bool { return t.row.Losses >= lostLimit-1 }

// hold notes that a device holds a task.
func (d *machine) hold(t *openTask) {
	t.device = d
	d.held[t.row.ID] = t
	if t.lastChance() {
		d.sole = t
	}
}

// drop notes that it does not hold it any more.
func (d *machine) drop(t *openTask) {
	delete(d.held, t.row.ID)
	t.device = nil
	if d.sole == t {
		d.sole = nil
	}
}

// reserve keeps a device for a task, as soon as what it holds has ended.
func (c *Core) reserve(d *machine, t *openTask) {
	d.reserved, t.reserved, t.since = t, d, c.now
	c.reserving = append(c.reserving, d)
	c.update(d)
}

// unreserve lets a device, and the task that it was kept for, go on without each other. The task is in no queue then.
func (c *Core) unreserve(d *machine) {
	d.reserved.reserved, d.reserved = nil, nil
	c.reserving = slices.DeleteFunc(c.reserving, func(o *machine) bool { return o == d })
	c.update(d)
}

// spare lets the task that a device is kept for wait for any device again.
func (c *Core) spare(d *machine) {
	if t := d.reserved; t != nil {
		c.unreserve(d)
		c.queueUp(t)
	}
}

// giveReserved gives devices that have nothing else to do any more the tasks that they are kept for. A device that cannot take one now is not waited for,
// nor is one where another is empty; and none for longer than a lease, or a long task on it would keep its other slots, and the one that waits.
func (c *Core) giveReserved() {
	for _, d := range slices.Clone(c.reserving) {
		t := d.reserved
		status, _ := d.status()
		switch {
		case d.session == nil || status != device.Online || d.row.Profile.Slots < 1:
			c.spare(d)
		case len(d.held) == 0 || c.now.Sub(t.since) >= c.set.Lease() && len(d.held) < d.row.Profile.Slots:
			c.unreserve(d)
			c.lend(d, t)
		default:
			if other := c.emptyFor(t); other != nil {
				c.unreserve(d)
				c.lend(other, t)
			}
		}
	}
}

// emptyFor is a device that holds nothing and could take the task now; nil: there is none.
func (c *Core) emptyFor(t *openTask) (found *machine) {
	for _, d := range c.ready {
		if len(d.held) == 0 && (found == nil || d.row.ID < found.row.ID) && scheduler.WhyNot(t.taskType, t.needs, d.row.ID, &d.row.Profile) == "" {
			found = d
		}
	}
	return found
}
