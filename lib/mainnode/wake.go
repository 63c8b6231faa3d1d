package mainnode

import (
	"bytes"
	"fmt"
	"net"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Devices that sleep are woken by magic packets (Wake-on-LAN) when a task waits that fits no device which is at work, and their owner wants that.

const (
	wakeAgain   = 5 * time.Second  // a packet gets lost now and then
	wakeUsually = time.Minute      // that waking takes, where it is not known
	wakeMost    = 3 * time.Minute  // after which nothing more is to be hoped for, or three times of what it took the last times
	wakeRest    = 10 * time.Minute // before that is tried again

	somebody = "somebody wants it"
)

// waking is how a device is being woken, and how long that took the last times.
type waking struct {
	since time.Time // zero: it is not
	asked bool      // by somebody, rather than for a task
	sent  time.Time // the last packet
	tired time.Time // it is left alone until then
	woken time.Time // it came back
	takes time.Duration
}

// expected is how long waking takes.
func (w *waking) expected() time.Duration {
	if w.takes > 0 {
		return w.takes
	}
	return wakeUsually
}

// wakeUp wakes what is needed.
func (c *Core) wakeUp() {
	var asleep []*machine
	for _, d := range c.byName() {
		switch {
		case !d.waking.since.IsZero() && (d.session != nil || c.now.Sub(d.waking.since) > max(wakeMost, 3*d.waking.takes)):
			d.waking.since, d.waking.tired = time.Time{}, c.now.Add(wakeRest)
		case d.waking.asked && !d.waking.since.IsZero():
			c.wake(d, "")
		case c.sleeps(d):
			asleep = append(asleep, d)
		}
	}
	if len(asleep) > 0 && c.queue.Len() > 0 {
		c.wakeFor(asleep)
	}
}

// mostLooks is how often it is asked in a second whether a kind of task fits a device: many kinds and many devices must not keep the main node from its work.
const mostLooks = 100_000

// wakeFor wakes those of the devices that sleep for which a task waits.
func (c *Core) wakeFor(asleep []*machine) {
	looks := 0
	needed := map[*machine]task.ID{}
	c.queue.EachClass(func(taskType string, needs *task.Requirements, first task.ID) bool {
		fits := func(d *machine) bool {
			looks++
			return scheduler.WhyNot(taskType, needs, d.row.ID, &d.row.Profile) == ""
		}
		var best *machine
		for _, d := range asleep {
			if c.now.After(d.waking.tired) && (best == nil || d.waking.expected() < best.waking.expected()) && fits(d) {
				best = d
			}
		}
		if best == nil || needed[best] != 0 {
			return looks < mostLooks
		}
		for _, d := range c.byName() {
			if d.shown == device.Online && d.says == device.Online && !d.row.Draining && fits(d) { // it may be cut off for a moment
				return looks < mostLooks
			}
		}
		needed[best] = first
		return looks < mostLooks
	})
	for _, d := range asleep {
		if id := needed[d]; id != 0 {
			c.wake(d, fmt.Sprintf("task %s waits, and fits no device that is at work", id))
		}
	}
}

// sleeps says whether a device may be woken. One that could not come back yet since this start may be awake.
func (c *Core) sleeps(d *machine) bool {
	p := &d.row.Profile
	return p.Wake && len(p.Hardware.MACs) > 0 && d.session == nil && d.shown == device.Offline && !d.row.Draining &&
		(d.heard || c.now.Sub(c.started) >= c.set.OfflineAfter)
}

// wake sends a packet, if it is time for one.
func (c *Core) wake(d *machine, why string) {
	w := &d.waking
	switch {
	case w.since.IsZero():
		w.since, w.asked = c.now, why == somebody
		c.event(cluster.Event{Kind: cluster.DeviceWaking, Device: d.row.ID, Reason: why})
	case c.now.Sub(w.sent) < wakeAgain:
		return
	}
	w.sent = c.now
	c.effects = append(c.effects, Effect{Wake: d.row.Profile.Hardware.MACs})
}

// woke notes that a device is there: how long that took is a lesson for the next time.
func (d *machine) woke(now time.Time) {
	w := &d.waking
	if w.since.IsZero() {
		return
	}
	took := min(now.Sub(w.since), wakeMost)
	if w.takes == 0 {
		w.takes = took
	}
	w.takes += (took - w.takes) / 4
	w.since, w.tired, w.woken = time.Time{}, time.Time{}, now
}

// unwilling notes that a device takes no tasks: one that was woken for them is left alone then.
func (d *machine) unwilling(now time.Time) {
	if !d.waking.woken.IsZero() && now.Sub(d.waking.woken) < wakeRest {
		d.waking.tired = now.Add(wakeRest)
	}
}

// wakeNow wakes a device because somebody wants that.
func (c *Core) wakeNow(d *machine) error {
	switch {
	case d.session != nil:
		return wire.Errorf(wire.ErrConflict, "wake: %s is awake", d.row.ID)
	case len(d.row.Profile.Hardware.MACs) == 0:
		return wire.Errorf(wire.ErrConflict, "wake: %s has told no hardware address; rc-workerd --mac says one there", d.row.ID)
	}
	d.waking.since, d.waking.sent, d.waking.tired = time.Time{}, time.Time{}, time.Time{}
	c.wake(d, somebody)
	return nil
}

// magicPacket is 6 bytes of ones and the address sixteen times; nil: it is no address.
func magicPacket(mac string) []byte {
	a, err := net.ParseMAC(mac)
	if err != nil || len(a) != 6 {
		return nil
	}
	return append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(a, 16)...)
}

// broadcasts are the addresses at which devices that sleep hear: of all networks that this host is in.
func broadcasts() []string {
	const discard = "9" // the port that is usual for this
	all := []string{net.JoinHostPort("255.255.255.255", discard)}
	found, _ := net.InterfaceAddrs()
	for _, a := range found {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || n.IP.IsLoopback() {
			continue
		}
		ip, mask := n.IP.To4(), net.IP(n.Mask).To4()
		if mask == nil {
			continue
		}
		to := make(net.IP, 4)
		for i := range to {
			to[i] = ip[i] | ^mask[i]
		}
		all = append(all, net.JoinHostPort(to.String(), discard))
	}
	return all
}

// sendWake sends magic packets. What cannot be sent is told by that the device does not wake.
func (n *Node) sendWake(macs []string) {
	to := n.wakeTo
	if len(to) == 0 {
		to = broadcasts()
	}
	for _, address := range to {
		conn, err := net.Dial("udp", address)
		if err != nil {
			n.log.Debug("cannot wake", "to", address, "err", err)
			continue
		}
		for _, mac := range macs {
			if _, err := conn.Write(magicPacket(mac)); err != nil {
				n.log.Debug("cannot wake", "to", address, "err", err)
			}
		}
		conn.Close()
	}
}
