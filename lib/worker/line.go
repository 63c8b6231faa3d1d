package worker

import (
	"cmp"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Where attempts are over in a moment, some are lined up behind those that run: who runs them then goes from one to the next without asking, and this
// process hears of many at once. To everybody else one that is lined up waits, until it is known to run or to be over. One whose turn does not come
// soon waits in the queue again.

const (
	lineRun  = 4 * time.Millisecond  // that attempts last, at the most, where others are lined up
	lineSpan = 12 * time.Millisecond // of work behind each slot
	lineMost = 16                    // attempts behind each slot
)

// LineUp has attempts lined up of the types for which can says so.
func (c *Core) LineUp(can func(taskType string) bool) { c.lines = can }

// canLine says whether an attempt is to be lined up now. Never one that could be asked for again, or must not run in two places: those are told of before
// they are begun.
func (c *Core) canLine(a *attempt) bool {
	ran := max(time.Duration(c.pace.ran), time.Microsecond)
	if c.lines == nil || c.pace.short < steady || ran > lineRun || a.spec.Exclusive || a.spec.AtMostOnce || a.spec.Files != nil {
		return false
	}
	behind := min(int(lineSpan/ran)+1, lineMost)
	return c.running < c.slots*(1+behind) && c.lines(a.spec.Type)
}

// turned takes that an attempt runs which was lined up, and may do so for long.
func (c *Core) turned(l task.Lease) {
	if a := c.attempts[l]; a != nil && a.lined {
		a.lined, a.began = false, c.now
		c.begun(a)
	}
}

// unbegun takes an attempt back that was lined up behind one which is not over soon. So what comes next may not be, either.
func (c *Core) unbegun(l task.Lease) {
	a := c.attempts[l]
	if a == nil {
		return
	}
	c.running--
	c.pace.short = 0
	a.state, a.lined = wire.HeldWaiting, false
	i, _ := slices.BinarySearchFunc(c.queue, a.order, func(o *attempt, order int64) int { return cmp.Compare(o.order, order) })
	c.queue = slices.Insert(c.queue, i, a)
	switch {
	case a.unknown:
		c.unqueue(a)
		c.forget(a)
	case a.cancelled != nil:
		c.cancel(a, a.cancelled)
	case c.draining:
		c.unqueue(a)
		c.forget(a)
		c.send(wire.TypeTaskRelease, wire.Release{Lease: a.lease, Reason: "the device is draining"})
	case a.recalled:
		c.recall(a)
	}
}

// held is the state of an attempt as the main node is told it.
func (a *attempt) held() wire.HeldState {
	if a.lined && a.state == wire.HeldRunning {
		return wire.HeldWaiting
	}
	return a.state
}
