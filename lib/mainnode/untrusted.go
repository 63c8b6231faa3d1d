package mainnode

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Devices of the first Retire-Cluster have no key: whoever reaches the main node from a network where plain connections are allowed may speak for
// them. They are seen, by their heartbeats, and that is all: they have no session, no slots, and no way to what belongs to a device that has a key.

const (
	mostUntrusted  = 64
	untrustedKey   = "untrusted:" // and the name, in the place of a fingerprint, none of which has a colon
	untrustedWords = "untrusted: it has no key, and is given no task"
	keptBeats      = 8
	whoPlain       = "plain"
)

// beats are the heartbeats of a device without a key.
type beats struct {
	newest  time.Time // of those that counted
	changed time.Time // when what it says of itself was written down
	kept    []wire.FirstBeat
}

// beatLeast is how often a device without a key may change anything: 10 seconds, with a heartbeat a minute.
func (c *Core) beatLeast() time.Duration { return c.set.Heartbeat / 6 }

// first answers a client of the first Retire-Cluster.
func (c *Core) first(from string, m *wire.FirstMessage) wire.FirstResult {
	switch body := m.Body.(type) {
	case *wire.FirstRegister:
		err := c.registerFirst(from, body)
		c.noteFirst(from, m.Type, body.Device, err)
		return wire.NewFirstDone(body.Device, body.Device+" is registered", err)
	case *wire.FirstHeartbeat:
		err := c.beatFirst(from, body)
		c.noteFirst(from, m.Type, body.Device, err)
		return wire.NewFirstDone("", "heard", err)
	case *wire.FirstStatus:
		overview := wire.NewFirstOverview(body, c.now)
		c.eachShown(overview.Add)
		return overview
	case *wire.FirstList:
		list := wire.NewFirstListed(body)
		c.eachShown(list.Add)
		return list
	case *wire.FirstInfo:
		return c.describeFirst(body.Device)
	}
	return wire.NewFirstDone("", "", fmt.Errorf("first: no answer to %T", m.Body))
}

func (c *Core) eachShown(look func(*device.Device)) {
	for _, d := range c.byName() {
		shown := c.shownDevice(d)
		look(&shown)
	}
}

func (c *Core) describeFirst(name string) wire.FirstResult {
	d := c.devices[name]
	if d == nil {
		return wire.NewFirstUnknown(name)
	}
	kept := d.beats.kept
	if d.row.Standing != store.Untrusted && d.heard {
		kept = []wire.FirstBeat{wire.NewFirstBeat(name, d.last, &d.metrics)}
	}
	shown := c.shownDevice(d)
	return wire.NewFirstDescribed(&shown, kept)
}

// noteFirst audits what was refused to a plain connection. That a device has yet to register, or that the disk is full, is no refusal.
func (c *Core) noteFirst(from, what, on string, err error) {
	if err != nil && !errors.Is(err, device.ErrNotFound) && c.storage != storageFull && !errors.Is(err, wire.ErrStorageFull) {
		c.failed(entry{Who: whoPlain, From: from, What: what, On: on}, err)
	}
}

// withoutKey finds a device that has no key; nil: there is none of that name. A name that a device with a key has, or ever had, is not for plain connections.
func (c *Core) withoutKey(name string) (*machine, error) {
	d := c.devices[name]
	switch {
	case d != nil && d.row.Standing == store.Untrusted:
		return d, nil
	case d != nil || slices.Contains(slices.Collect(maps.Values(c.revoked)), name):
		return nil, wire.Errorf(wire.ErrForbidden, "%s: this device has a key here: it is no longer spoken for by plain connections", name)
	}
	return nil, nil
}

// registerFirst takes what a device without a key says of itself.
func (c *Core) registerFirst(from string, r *wire.FirstRegister) error {
	d, err := c.withoutKey(r.Device)
	if err != nil {
		return err
	}
	changed := d == nil || !reflect.DeepEqual(d.row.Profile, r.Profile)
	switch {
	case c.storage == storageFull, c.storage != storageOK && changed:
		return c.tryAgain()
	case d == nil:
		d, err = c.addUntrusted(from, r.Device)
	case changed && c.now.Sub(d.beats.changed) < c.beatLeast():
		err = wire.Errorf(wire.ErrBusy, "%s: registered a moment ago, and otherwise; once in %s is enough", r.Device, c.beatLeast())
	}
	if err != nil {
		return err
	}
	d.row.Address = from
	if changed {
		d.row.Profile, d.beats.changed = r.Profile, c.now
		d.sched = scheduler.NewDevice(d.row.ID, r.Profile)
		c.batch.Device(d.row)
		c.audit(entry{Who: whoPlain, From: from, What: wire.TypeRegister, On: d.row.ID, Result: "ok"})
	}
	c.heard(d)
	return nil
}

func (c *Core) addUntrusted(from, name string) (*machine, error) {
	many := 0
	for _, d := range c.devices {
		if d.row.Standing == store.Untrusted {
			many++
		}
	}
	if many >= mostUntrusted {
		return nil, wire.Errorf(wire.ErrBusy, "%s: there are %d devices without a key already, and no more are taken; rc-ctl remove makes room", name, many)
	}
	d := newMachine(store.Device{ID: name, Fingerprint: untrustedKey + name, Standing: store.Untrusted, Joined: c.now, Address: from}, c.now)
	c.devices[name], c.byKey[d.row.Fingerprint] = d, d
	c.named = nil
	c.event(cluster.Event{Kind: cluster.DeviceJoined, Device: name, Reason: from + ", without a key"})
	return d, nil
}

// beatFirst notes that a device without a key is there. One that says so too often is not told, and changes nothing.
func (c *Core) beatFirst(from string, h *wire.FirstHeartbeat) error {
	d, err := c.withoutKey(h.Device)
	switch {
	case err != nil:
		return err
	case d == nil:
		return fmt.Errorf("%s: %w; it has to register first", h.Device, device.ErrNotFound)
	case c.storage == storageFull:
		return c.tryAgain()
	case c.now.Sub(d.beats.newest) < c.beatLeast():
		return nil
	}
	d.row.Address, d.metrics = from, h.Metrics
	d.beats.newest = c.now
	d.beats.kept = slices.Insert(d.beats.kept, 0, wire.NewFirstBeat(h.Device, c.now, &h.Metrics))
	d.beats.kept = d.beats.kept[:min(len(d.beats.kept), keptBeats)]
	c.heard(d)
	return nil
}

// keyed says whether somebody may act on a device: on one without a key there is nothing to be done but to remove it.
func (d *machine) keyed(verb string) error {
	if d.row.Standing == store.Untrusted && verb != wire.TypeRemove {
		return wire.Errorf(wire.ErrConflict, "%s: %s is untrusted: it has no key, and is given no task; with a join code of rc-ctl invite it gets one", verb, d.row.ID)
	}
	return nil
}

// makeWay forgets a device without a key whose name is wished by one that has a key and may join.
func (c *Core) makeWay(name string) {
	if d := c.devices[name]; d != nil && d.row.Standing == store.Untrusted {
		c.remove(d)
	}
}

// untrustedReason says so to people, behind what else there is to say.
func untrustedReason(reason string) string {
	if reason == "" {
		return untrustedWords
	}
	return reason + "; " + untrustedWords
}
