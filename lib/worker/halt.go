package worker

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What the device's owner wants comes first: nothing new is taken then, and what runs may have to stand still, or to go on elsewhere.

// press takes whether the device may work.
func (c *Core) press(p *Pressed) {
	if p.Reason != c.pressed {
		c.pressed, c.nextBeat = p.Reason, c.now
	}
	switch {
	case p.Halt && c.halted.IsZero():
		c.halted = c.now
		c.do(HaltAll{true})
	case !p.Halt && !c.halted.IsZero():
		c.halted = time.Time{}
		c.do(HaltAll{false})
	}
}

// giveBack has what stands still for too long given back, so that it can run elsewhere, if there is a main node to give it to. What may be begun only once
// waits here for however long it takes.
func (c *Core) giveBack() {
	if c.halted.IsZero() || c.lenient == 0 || !c.connected || c.now.Sub(c.halted) < c.lenient {
		return
	}
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning && a.givenBack == "" && !a.spec.AtMostOnce {
			a.givenBack = c.pressed
			c.do(KillAttempt{a.lease, c.pressed})
		}
	}
}

// GiveBackAfter has what stands still given back after a time; 0: never.
func (c *Core) GiveBackAfter(d time.Duration) { c.lenient = d }

// Running is how many attempts run here, or wait behind those for a moment.
func (c *Core) Running() int { return c.running }

// Usual is how long attempts last here; 0: not known.
func (c *Core) Usual() time.Duration { return time.Duration(c.pace.ran) }
