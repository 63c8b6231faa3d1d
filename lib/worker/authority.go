package worker

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// authority is how long this device may believe that what it was given is still its own: a little less long than the main node waits for
// it, counted from when it sent what the main node has answered, on a clock that goes on while the device sleeps.
type authority struct {
	lease time.Duration // of the main node
	until time.Time
	beats []time.Time // when the heartbeats were sent that are not answered yet, in order
}

const usualLease = 450 * time.Second // of a main node that does not tell

// Parts of a lease: what it takes to end an attempt, and the grain of the main node's clock. Two devices' clocks may differ by 5 %.
func graceOf(lease time.Duration) time.Duration { return lease / 45 }
func holdOf(lease time.Duration) time.Duration  { return (lease - graceOf(lease) - lease/450) * 20 / 21 }

// begin takes what a welcome says, to a hello that was sent then.
func (a *authority) begin(lease float64, asked time.Time) {
	a.lease = usualLease
	if lease > 0 {
		a.lease = time.Duration(lease * float64(time.Second))
	}
	a.beats = nil
	a.until = asked.Add(holdOf(a.lease))
}

func (a *authority) sent(at time.Time) { a.beats = append(a.beats, at) }

// answered takes the answer to the oldest heartbeat: they are answered in order.
func (a *authority) answered(renews bool) {
	if len(a.beats) == 0 {
		return
	}
	if until := a.beats[0].Add(holdOf(a.lease)); renews && until.After(a.until) {
		a.until = until
	}
	a.beats = a.beats[1:]
}

// fence ends the exclusive attempts of a device that was cut off for so long that others may be given them. They count as held until they have
// ended.
func (c *Core) fence() {
	if c.now.Before(c.authority.until) {
		return
	}
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning && a.spec.Exclusive && !a.fenced && !a.unknown {
			a.fenced = true
			c.do(KillAttempt{a.lease, "the main node was not heard of for so long that it may run elsewhere"})
		}
	}
}

// refence tells the executor, which ends exclusive attempts even while this process is stopped, that they may run on.
func (c *Core) refence() {
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning && a.spec.Exclusive && !a.fenced {
			c.do(Fence{a.lease, c.authority.until, graceOf(c.authority.lease)})
		}
	}
}

// cutShort says whether an attempt that has ended was ended by us, so that there is no result, and whether it is to be given back.
func (a *attempt) cutShort(r *task.Result) (forgotten, back bool) {
	switch killed := r.Status == task.AttemptCancelled; {
	case a.unknown, r.Status == task.AttemptLost, a.fenced && killed:
		return true, false
	case killed && a.givenBack != "":
		return true, true
	}
	return false, false
}
