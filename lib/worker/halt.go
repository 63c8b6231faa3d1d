package worker

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What the device's owner wants comes first: nothing new is taken then, and what runs may have to stand still, or to go on elsewhere.

// StandStill says attempts of which types can stand still; without it all can.
func (c *Core) StandStill(can func(taskType string) bool) { c.stands = can }

// GiveBackAfter has what stands still given back after a time; 0: never.
func (c *Core) GiveBackAfter(d time.Duration) { c.lenient = d }

// press takes whether the device may work. The main node hears at once when that changes, and of other reasons with the next heartbeat.
func (c *Core) press(p *Pressed) {
	if (p.Reason == "") != (c.pressed == "") {
		c.nextBeat = c.now
	}
	c.pressed = p.Reason
	switch halt := p.Halt && !c.draining; {
	case halt && c.halted.IsZero():
		c.halted = c.now
		for _, a := range c.attempts {
			a.stood = true
		}
		c.do(HaltAll{true})
	case !halt && !c.halted.IsZero():
		c.goOn()
	}
}

func (c *Core) goOn() {
	c.halted = time.Time{}
	c.do(HaltAll{false})
}

// giveBack has what stands still for too long given back, so that it can run elsewhere, if there is a main node to give it to. What may be begun only once
// waits here for however long it takes.
func (c *Core) giveBack() {
	if c.halted.IsZero() || c.lenient == 0 || !c.connected || c.now.Sub(c.halted) < c.lenient {
		return
	}
	c.giveBackAll()
}

func (c *Core) giveBackAll() {
	for _, a := range c.sorted() {
		wanted := a.givenBack == "" && a.cancelled == nil && !a.fenced && !a.unknown
		if a.state == wire.HeldRunning && wanted && !a.spec.AtMostOnce && (c.stands == nil || c.stands(a.spec.Type)) {
			a.givenBack = c.pressed
			c.do(KillAttempt{a.lease, c.pressed})
		}
	}
}

// leaveNothingStanding is for a worker that is to end when nothing runs any more: what stands still is given back now, and what may be begun only once
// goes on.
func (c *Core) leaveNothingStanding() {
	if !c.halted.IsZero() {
		c.giveBackAll()
		c.goOn()
	}
}

// Busy is how many slots have an attempt that does something.
func (c *Core) Busy() int {
	if !c.halted.IsZero() {
		return 0
	}
	return min(c.running, c.slots)
}

// Usual is how long attempts last here; 0: not known.
func (c *Core) Usual() time.Duration { return time.Duration(c.pace.ran) }
