package mainnode

import (
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Times of telling two machines with one key (a cloned card, a copied data directory) from one that restarts.
const (
	twinReturns = 3                // times that a former process came back
	twinWithin  = 10 * time.Minute // in this time
	twinRest    = 5 * time.Minute  // for which neither is let in after that
	mostLives   = 8                // processes remembered
)

// twins watches the processes that say hello with one device's key. A process that was followed by another never comes back, unless both
// are alive: then each takes the connection from the other.
type twins struct {
	life    string      // of the process that said hello last
	former  []string    // those before it, newest last
	returns []time.Time // when one of those came back
	until   time.Time   // neither is let in before that
}

// seen notes a hello; true: there are two.
func (w *twins) seen(life string, now time.Time) bool {
	if life == "" || life == w.life {
		return false
	}
	if slices.Contains(w.former, life) {
		w.returns = append(slices.DeleteFunc(w.returns, func(at time.Time) bool { return now.Sub(at) > twinWithin }), now)
	}
	w.former = slices.DeleteFunc(append(w.former, w.life), func(l string) bool { return l == life || l == "" })
	w.former = w.former[max(0, len(w.former)-mostLives):]
	w.life = life
	if len(w.returns) < twinReturns {
		return false
	}
	w.returns, w.until = nil, now.Add(twinRest)
	return true
}

// oneMachine refuses a hello of a key that two machines use.
func (c *Core) oneMachine(d *machine, h *wire.Hello) error {
	if wait := d.twins.until.Sub(c.now); wait > 0 {
		return &wire.Error{Code: "E_DUPLICATE_IDENTITY", RetryAfter: wait.Milliseconds(),
			Text: "two machines use the key of " + d.row.ID + ": on one of them empty the data directory of rc-workerd and join again"}
	}
	if !d.twins.seen(h.Life, c.now) {
		return nil
	}
	c.event(cluster.Event{Kind: cluster.DeviceTwice, Device: d.row.ID, Reason: "two machines use its key in turns; neither is let in for " +
		twinRest.String() + ". Stop one, empty its data directory, and let it join anew"})
	if s := d.session; s != nil {
		c.hangUp(s)
	}
	d.says, d.reason = device.Paused, "two machines use its key"
	c.update(d)
	return c.oneMachine(d, h)
}

// hangUp ends a worker's session.
func (c *Core) hangUp(s *session) {
	delete(c.sessions, s.id)
	if s.device.session == s {
		s.device.session = nil
	}
	c.effects = append(c.effects, Effect{Session: s.id, Close: true})
}
