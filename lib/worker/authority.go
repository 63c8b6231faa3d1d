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
// ended and that was heard of.
func (c *Core) fence() {
	if c.now.Before(c.authority.until) {
		return
	}
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning && a.spec.Exclusive && !a.fenced && !a.unknown {
			a.fenced = true
			c.do(Fence{a.lease, c.authority.until, graceOf(c.authority.lease)}) // which is less time than what a task is given otherwise
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

// cutShort makes of the end of an attempt that was ended by this device what the main node has to hear: lost, or given back. It is spooled and judged
// like any other result, for otherwise the main node could not know that the attempt was begun at all, where that got lost with a connection.
func (a *attempt) cutShort(stopping bool) {
	switch killed := a.result.Status == task.AttemptCancelled; {
	case killed && a.fenced:
		a.result = task.Result{Status: task.AttemptLost, Reason: "its device was cut off, and ended it because it may run elsewhere"}
	case killed && a.givenBack != "":
		a.result = task.Result{Status: task.AttemptReleased, Reason: a.givenBack}
	case killed && stopping:
		a.result = task.Result{Status: task.AttemptReleased, Reason: "the worker was stopped"}
	case a.result.Status != task.AttemptLost && a.result.Status != task.AttemptReleased:
		return
	}
	a.output, a.sent = output{}, 0
}
