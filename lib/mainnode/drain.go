package mainnode

import (
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// drain lets a device finish what it has, for within at most; 0: for as long as that takes. Asked again, the time counts anew.
func (c *Core) drain(d *machine, within time.Duration) {
	by := time.Time{}
	reason := "asked to drain"
	if within > 0 {
		by = c.now.Add(within)
		reason = fmt.Sprintf("asked to drain within %s", within)
	}
	if d.row.Draining && by.IsZero() && d.row.DrainBy.IsZero() {
		return
	}
	d.row.Draining, d.row.DrainBy = true, by
	c.event(cluster.Event{Kind: cluster.DeviceDraining, Device: d.row.ID, Reason: reason})
	c.batch.Device(d.row)
	c.update(d)
	c.recallWaiting(d)
}

// undrain lets a device take tasks again.
func (c *Core) undrain(d *machine) {
	if !d.row.Draining {
		return
	}
	d.row.Draining, d.row.DrainBy = false, time.Time{}
	c.event(cluster.Event{Kind: cluster.DeviceResumed, Device: d.row.ID})
	c.batch.Device(d.row)
	c.update(d)
}

// recall asks a draining device, when its time is over, to give back what it has. It is asked again as long as it has any: an answer may get
// lost with its connection. What it does not give back because it cannot be heard of ends with its lease.
func (c *Core) recall(d *machine) {
	if !d.row.Draining || d.row.DrainBy.IsZero() || c.now.Before(d.row.DrainBy) || d.session == nil || c.now.Sub(d.recalled) < c.set.Heartbeat {
		return
	}
	d.recalled = c.now
	for _, t := range d.holding() {
		c.say(d.session.id, wire.Message{Type: wire.TypeTaskCancel, Target: d.row.ID,
			Body: wire.Cancel{Lease: t.lease(), Reason: "the time to drain is over", GiveBack: true}})
	}
}

// drainReason says how a draining device stands.
func (c *Core) drainReason(d *machine) string {
	left := d.row.DrainBy.Sub(c.now).Round(time.Second)
	switch {
	case d.row.DrainBy.IsZero():
		return "asked to drain"
	case left > 0:
		return fmt.Sprintf("asked to drain, within %s", left)
	}
	return "asked to drain, its time is over"
}
