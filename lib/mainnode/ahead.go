package mainnode

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// A device holds as many attempts ahead of its slots as it says it needs to be busy while messages travel. What waits there is asked back when
// another device could begin it and it would wait for long: it goes there when the one that has it has given it back, and not before.

// fresh is for how long it counts how many attempts a device would hold ahead: it says so with every result.
const fresh = 2 * time.Second

// worthRecall is how long an attempt has to wait on its device for it to be worth a message there and back, and a commit or two.
const worthRecall = 100 * time.Millisecond

// free is the number of slots of a device for which it could be given something; below 0 what it holds ahead of them.
func (d *machine) free() int { return d.row.Profile.Slots - len(d.held) }

// room is how many attempts it could be given.
func (d *machine) room() int {
	if d.reserved != nil || d.sole != nil {
		return 0
	}
	return max(0, d.free()+d.ahead)
}

// wants notes how many attempts a device would hold ahead.
func (c *Core) wants(d *machine, ahead int) {
	d.aheadAt = c.now
	if ahead = min(max(ahead, 0), wire.MaxAhead); ahead != d.ahead {
		d.ahead = ahead
		c.update(d)
	}
}

// mayWait says whether a task may wait on a device for a slot. Where it matters that it was not begun, it may not; nor may one that was lost with a device,
// for which it may have been to blame, or that failed on one.
func (c *Core) mayWait(t *openTask, d *machine) bool {
	return c.now.Sub(d.aheadAt) < fresh && !t.policy.Exclusive && !t.policy.AtMostOnce && t.row.Losses == 0 && t.row.Failures == 0
}

// ran notes how long an attempt took on a device.
func (d *machine) ran(r *task.Result) {
	d.usual += (time.Duration(r.Wall*float64(time.Second)) - d.usual) / 8
}

// even asks attempts back that wait for long, for the slots that are free elsewhere after all was given that fits them.
func (c *Core) even() {
	if len(c.crowded) == 0 || len(c.ready) == 0 || c.ready[0].free() <= 0 {
		return
	}
	var idle []*machine
	slots := 0
	for _, d := range c.ready {
		if d.free() > 0 && d.room() > 0 {
			idle = append(idle, d)
			slots += d.free()
		}
	}
	for _, d := range slices.SortedFunc(maps.Keys(c.crowded), func(a, b *machine) int { return cmp.Compare(a.row.ID, b.row.ID) }) {
		for _, t := range d.excess() {
			switch {
			case slots == 0:
				return
			case t.recalled: // on its way
				slots--
			case c.stuck(d, t) && fitsAny(t, idle):
				c.recallTask(t)
				slots--
			}
		}
	}
}

// excess is what waits on a device beyond its slots, the last to come first.
func (d *machine) excess() []*openTask {
	waiting := slices.DeleteFunc(d.holding(), func(t *openTask) bool { return t.row.State != task.Assigned })
	slices.SortStableFunc(waiting, func(a, b *openTask) int { return cmp.Compare(b.number, a.number) })
	return waiting[:min(len(waiting), max(0, -d.free()))]
}

// stuck says whether an attempt that waits on a device will do so for long, or does already.
func (c *Core) stuck(d *machine, t *openTask) bool {
	turns := (-d.free() + d.row.Profile.Slots - 1) / max(1, d.row.Profile.Slots)
	return time.Duration(turns)*d.usual > worthRecall || c.now.Sub(t.last.Leased) > worthRecall
}

func fitsAny(t *openTask, idle []*machine) bool {
	return slices.ContainsFunc(idle, func(d *machine) bool {
		return scheduler.WhyNot(t.taskType, t.needs, d.row.ID, &d.row.Profile) == ""
	})
}

// recallTask asks a device for an attempt that it has not begun. Where it has by now, its next word about the attempt says so.
func (c *Core) recallTask(t *openTask) {
	if d := t.device; d != nil && d.session != nil {
		t.recalled = true
		c.say(d.session.id, wire.Message{Type: wire.TypeTaskRecall, Target: d.row.ID, Body: wire.Recall{Lease: t.lease()}})
	}
}

// recallWaiting asks a device that is to take nothing new for all that it has not begun.
func (c *Core) recallWaiting(d *machine) {
	for _, t := range d.holding() {
		if t.row.State == task.Assigned {
			c.recallTask(t)
		}
	}
}

// online says whether a device has a connection and takes tasks.
func (d *machine) online() bool {
	status, _ := d.status()
	return d.session != nil && status == device.Online && len(d.row.Profile.TaskTypes) > 0
}

// update keeps the devices that could take a task now, and those that hold more than they can run.
func (c *Core) update(d *machine) {
	if d.reserved != nil {
		c.pending = true
	}
	if d.free() < 0 && d.session != nil {
		c.crowded[d] = struct{}{}
	} else {
		delete(c.crowded, d)
	}
	if !d.online() || d.room() == 0 {
		c.ready.leave(d)
		return
	}
	if d.at == notReady {
		c.pending = true
	}
	c.ready.place(d)
}
