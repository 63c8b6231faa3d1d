package mainnode

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// machine is a device as the core sees it.
type machine struct {
	row      store.Device
	sched    *scheduler.Device
	session  *session              // nil: no connection
	newest   int64                 // number of its newest session in the life row.BootCount
	held     map[task.ID]*openTask // attempts that it has leases of
	last     time.Time             // the last message received; after a restart, the start
	heard    bool                  // anything since the main node started
	shown    device.Status         // as the last event about it said
	says     device.Status         // of itself
	reason   string
	metrics  device.Metrics
	recalled time.Time // when it was asked last for what it has, after its time to drain
	twins    twins
	waking   waking
	slept    time.Duration // since it was started
	ahead    int           // attempts that it would hold beyond its slots
	aheadAt  time.Time     // when it said so
	usual    time.Duration // that its attempts take
	at       int           // in ready
	sole     *openTask     // of held: it is to have the device to itself
	reserved *openTask     // to which it is to be given when it has nothing else
	beats    beats         // of one without a key
}

func newMachine(row store.Device, now time.Time) *machine {
	return &machine{row: row, sched: scheduler.NewDevice(row.ID, row.Profile), held: map[task.ID]*openTask{}, last: now, at: notReady,
		shown: device.Offline, says: device.Online, reason: "not heard of since the main node started"}
}

// holding is what it holds, oldest first: the order in which things happen must not hang on that of a map.
func (d *machine) holding() []*openTask {
	return slices.SortedFunc(maps.Values(d.held), func(a, b *openTask) int { return cmp.Compare(a.row.ID, b.row.ID) })
}

// status is what people are shown, with the reason.
func (d *machine) status() (device.Status, string) {
	switch {
	case d.row.Standing == store.Pending:
		return device.Pending, "waits for rc-ctl approve " + d.row.ID
	case d.shown == device.Offline && !d.waking.since.IsZero():
		return device.Offline, "it is being woken"
	case d.shown == device.Offline:
		return device.Offline, d.reason
	case d.row.Draining:
		return device.Draining, "asked to drain"
	case d.says != device.Online:
		return d.says, d.reason
	}
	return device.Online, ""
}

// join enrols a device under its key.
func (c *Core) join(in *Input, j *wire.Join) (any, error) {
	if _, err := wire.Spoken.Common(j.Protocol); err != nil {
		return nil, err
	}
	if in.Fingerprint == "" {
		return nil, wire.Errorf(wire.ErrAuth, "join: show a certificate of your own")
	}
	if err := c.notRevoked(in.Fingerprint); err != nil {
		return nil, err
	}
	invite, err := c.mayJoin(in.Fingerprint, j)
	if err != nil {
		return nil, err
	}
	if d := c.byKey[in.Fingerprint]; d != nil { // asked before, and the answer was lost
		return wire.Joined{DeviceID: d.row.ID, Pending: d.row.Standing == store.Pending}, nil
	}
	c.makeWay(j.Name)
	name, err := c.freeName(j.Name)
	if err != nil {
		return nil, err
	}
	row := store.Device{ID: name, Fingerprint: in.Fingerprint, Joined: c.now, Address: in.Address}
	if invite != nil {
		invite.Uses--
		invite.UsedBy = in.Fingerprint
		c.invites[invite.ID] = *invite
		c.batch.Invite(*invite)
		row.Invite = invite.ID
		if c.set.Approve {
			row.Standing = store.Pending
		}
	}
	d := newMachine(row, c.now)
	d.reason = "has joined, but not connected yet"
	c.devices[name], c.byKey[in.Fingerprint] = d, d
	c.named = nil
	c.batch.Device(d.row)
	c.event(cluster.Event{Kind: cluster.DeviceJoined, Device: name, Reason: in.Address})
	if row.Standing == store.Pending {
		c.event(cluster.Event{Kind: cluster.DevicePending, Device: name})
	}
	return wire.Joined{DeviceID: name, Pending: row.Standing == store.Pending}, nil
}

// mayJoin checks the invitation, or the admin token. All that can be wrong with an invitation has one answer.
func (c *Core) mayJoin(fingerprint string, j *wire.Join) (*store.Invite, error) {
	if j.Token != "" {
		t, err := c.token(j.Token)
		if err == nil && (t.Kind != store.TokenKept || !wire.Role(t.Role).May(wire.RoleAdmin)) {
			err = wire.Errorf(wire.ErrForbidden, "join: only an admin token enrols a device")
		}
		return nil, err
	}
	i, ok := c.invites[j.Invite]
	right := wire.SameHash(i.Hash, wire.JoinCode{ID: j.Invite, Secret: j.Secret}.Hash())
	d := c.byKey[fingerprint]
	joined := d != nil && d.row.Invite == i.ID
	if !ok || !right || c.now.After(i.Expires) || i.Uses < 1 && !joined {
		return nil, fmt.Errorf("%w; make another with rc-ctl invite", wire.ErrJoin)
	}
	return &i, nil
}

// freeName gives a device the name that it wishes, or that with a number.
func (c *Core) freeName(wish string) (string, error) {
	if err := device.CheckName(wish); err != nil {
		return "", err
	}
	name := wish
	for n := 2; c.devices[name] != nil; n++ {
		name = fmt.Sprintf("%.58s-%d", wish, n)
	}
	return name, nil
}

// helloWorker begins a worker's session.
func (c *Core) helloWorker(in *Input, version int, h *wire.Hello) error {
	d, err := c.enrolled(in.Fingerprint)
	if err != nil {
		return err
	}
	// An old hello that comes late must not push out a newer session.
	if h.BootCount < d.row.BootCount || h.BootCount == d.row.BootCount && h.Session <= d.newest {
		return &wire.Error{Code: "E_STALE_SESSION", Text: "a newer session of " + d.row.ID + " is known", BootCount: d.row.BootCount}
	}
	if err := c.oneMachine(d, h); err != nil {
		return err
	}
	sameLife := h.BootCount == d.row.BootCount
	if old := d.session; old != nil {
		c.hangUp(old)
	}
	d.newest = h.Session
	d.row.BootCount, d.row.Address, d.row.Seen = h.BootCount, in.Address, c.now
	c.batch.Device(d.row)
	s := &session{id: in.Session, role: wire.RoleWorker, principal: d.row.ID, device: d, who: "device " + d.row.ID, from: in.Address}
	c.sessions[s.id], d.session = s, s
	d.says, d.reason = device.Online, ""
	d.woke(c.now)
	c.heard(d)
	held := c.reconcile(d, h.Held, sameLife, allAssigns)
	d.ahead = 0 // until it says so
	for _, t := range d.held {
		t.number, t.recalled = 0, false // of no assignment on this connection
	}
	c.effects = append(c.effects, Effect{Session: s.id, Role: wire.RoleWorker, Who: standing{who: s.who, from: s.from}, Message: wire.Message{Type: wire.TypeWelcome, ReplyTo: in.Message.ID, Body: wire.Welcome{
		Protocol: version, Software: c.self, MainNode: c.set.Name, Role: wire.RoleWorker, DeviceID: d.row.ID,
		Heartbeat: c.set.Heartbeat.Seconds(), Lease: c.set.Lease().Seconds(), Incarnation: c.incarnation, Addresses: c.addresses, Fingerprint: c.fingerprint, Held: held}}})
	c.update(d)
	return nil
}

// enrolled finds the device that has a key, if it may come in.
func (c *Core) enrolled(fingerprint string) (*machine, error) {
	if err := c.notRevoked(fingerprint); err != nil {
		return nil, err
	}
	d := c.byKey[fingerprint]
	switch {
	case d == nil:
		return nil, wire.Errorf(wire.ErrAuth, "this device has not joined; make a join code with rc-ctl invite")
	case d.row.Standing == store.Pending:
		return nil, &wire.Error{Code: "E_PENDING", RetryAfter: (c.set.Heartbeat / 2).Milliseconds(),
			Text: d.row.ID + " has joined and waits to be approved: rc-ctl approve " + d.row.ID + " on the main node"}
	}
	return d, nil
}

func (c *Core) notRevoked(fingerprint string) error {
	if name, gone := c.revoked[fingerprint]; gone {
		return &wire.Error{Code: "E_REVOKED", Text: "this device was removed from the cluster as " + name + ", and its key with it; to join anew, empty its data directory"}
	}
	return nil
}

// filesOf a device is who its connections for files are; no token has such an id.
const filesOf = "files of "

// helloFiles begins a session for a device's files, beside the one for all else.
func (c *Core) helloFiles(in *Input, version int) error {
	d, err := c.enrolled(in.Fingerprint)
	if err != nil {
		return err
	}
	s := &session{id: in.Session, role: wire.RoleFiles, principal: filesOf + d.row.ID, token: filesOf + d.row.ID, who: "device " + d.row.ID, from: in.Address}
	c.sessions[s.id] = s
	c.effects = append(c.effects, Effect{Session: s.id, Role: s.role, Who: standing{who: s.who, from: s.from}, Message: wire.Message{Type: wire.TypeWelcome, ReplyTo: in.Message.ID, Body: wire.Welcome{
		Protocol: version, Software: c.self, MainNode: c.set.Name, Role: s.role, DeviceID: d.row.ID}}})
	return nil
}

const allAssigns = int64(1<<63 - 1)

// reconcile compares what a device holds with what it should hold. What it should and does not hold, of what was assigned up to a
// number, is lost. The answer has a verdict for each that it does hold.
func (c *Core) reconcile(d *machine, held []wire.Held, sameLife bool, upTo int64) []wire.Held {
	there := make(map[task.Lease]bool, len(held))
	for _, h := range held {
		there[h.Lease] = true
	}
	for _, t := range d.holding() {
		if !there[t.lease()] && t.number <= upTo {
			switch {
			case !sameLife:
				c.lose(t, "its worker was restarted", lost)
			case t.row.State == task.Running:
				c.lose(t, "its device does not have it any more", lost)
			default: // what it never accepted, a worker in the same life has never started
				c.lose(t, "its device did not get it", notBegun)
			}
		}
	}
	for i := range held {
		held[i].Verdict = wire.Keep
		t := c.tasks[held[i].Task]
		switch {
		case t != nil && t.told && held[i].State == wire.HeldEnded: // and the verdict is under way
		case t != nil && t.lastIs(held[i].Lease, d.row.ID):
			c.adopt(t, d, held[i].State)
			held[i].OutputBytes = t.last.Output
		case held[i].State != wire.HeldEnded: // what has ended is judged when its result comes
			held[i].Verdict = wire.Kill
		}
	}
	return held
}

// register takes a device's profile.
func (c *Core) register(s *session, p *device.Profile) {
	d := s.device
	if !reflect.DeepEqual(d.row.Profile, *p) {
		d.row.Profile = *p
		d.sched = scheduler.NewDevice(d.row.ID, *p)
		c.spare(d)
		c.pending = true // what it could not take it may take now
		c.batch.Device(d.row)
	}
	c.update(d)
}

// heartbeat takes how a device is, and looks for attempts that only one side believes in.
func (c *Core) heartbeat(s *session, h *wire.Heartbeat) wire.HeartbeatAck {
	d := s.device
	d.metrics = h.Metrics
	for _, p := range []*float64{d.metrics.CPU, d.metrics.Memory, d.metrics.Disk, d.metrics.Battery} {
		if p != nil {
			*p = min(max(*p, 0), 100)
		}
	}
	switch h.Status {
	case device.Draining, device.Paused:
		d.says, d.reason = h.Status, h.Reason
		d.unwilling(c.now)
	default:
		d.says, d.reason = device.Online, ""
	}
	d.slept = time.Duration(max(h.Slept, 0) * float64(time.Second))
	ack := wire.HeartbeatAck{Kill: []task.Lease{}}
	for _, v := range c.reconcile(d, h.Held, true, h.AssignSeen) {
		if v.Verdict == wire.Kill {
			ack.Kill = append(ack.Kill, v.Lease)
		}
	}
	d.sched.Trim()
	c.wants(d, h.Ahead)
	c.update(d)
	return ack
}

// heard notes that a message of a device was received: that alone renews its lease.
func (c *Core) heard(d *machine) {
	d.last, d.heard = c.now, true
	if d.shown == device.Offline {
		d.shown = device.Online
		d.row.Seen = c.now
		c.batch.Device(d.row)
		c.event(cluster.Event{Kind: cluster.DeviceOnline, Device: d.row.ID, Reason: d.row.Address})
	}
}

// leave takes a device's goodbye.
func (c *Core) leave(s *session) {
	d := s.device
	c.offline(d, "it said goodbye")
	delete(c.sessions, s.id)
	d.session = nil
	c.update(d)
}

func (c *Core) offline(d *machine, reason string) {
	d.shown, d.reason = device.Offline, reason
	d.row.Seen = d.last
	c.batch.Device(d.row)
	c.event(cluster.Event{Kind: cluster.DeviceOffline, Device: d.row.ID, Reason: reason})
}

// silence shows devices as offline that have been silent, and ends the leases of those that were silent for longer.
func (c *Core) silence() {
	for _, d := range c.byName() {
		quiet := c.now.Sub(d.last)
		if d.shown != device.Offline && quiet >= c.set.OfflineAfter {
			c.offline(d, d.silent(quiet))
			c.update(d)
		}
		if quiet >= c.set.Lease() && (len(d.held) > 0 || d.session != nil) {
			c.expire(d)
		}
		c.recall(d)
	}
}

// silent is what is said of a device that is not heard of. One that has slept before is likely to sleep: it is not lost, and comes back.
func (d *machine) silent(quiet time.Duration) string {
	if d.slept >= sleepLeast {
		return fmt.Sprintf("asleep, as it seems: silent for %s", quiet.Round(time.Second))
	}
	return fmt.Sprintf("silent for %s", quiet.Round(time.Second))
}

const sleepLeast = 10 * time.Second // below which the difference between two clocks is no sleep

// expire ends a device's leases. It must say hello again before it can do anything.
func (c *Core) expire(d *machine) {
	for _, t := range d.holding() {
		c.lose(t, "its device was silent until the lease ended", lost)
	}
	if d.session != nil {
		c.hangUp(d.session)
	}
	c.update(d)
}

// actOnDevice drains, undrains or removes a device.
func (c *Core) actOnDevice(a *deviceAction) error {
	d, err := c.findDevice(a.name)
	if err != nil {
		return fmt.Errorf("%s: %w", a.verb, err)
	}
	if a.verb == wire.TypeRemove && d.row.ID != a.name { // what cannot be undone wants the whole name
		return fmt.Errorf("remove: %.70q: %w; is it %s that you mean?", a.name, device.ErrNotFound, d.row.ID)
	}
	if err := d.keyed(a.verb); err != nil {
		return err
	}
	switch a.verb {
	case wire.TypeRemove:
		c.remove(d)
	case wire.TypeDrain:
		c.drain(d, a.within)
	case wire.TypeUndrain:
		c.undrain(d)
	case wire.TypeApprove:
		return c.approve(d)
	case wire.TypeWake:
		return c.wakeNow(d)
	}
	return nil
}

// lastAddresses are where the devices came from last.
func (c *Core) lastAddresses() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, d := range c.devices {
			if d.row.Address != "" && !yield(d.row.Address) {
				return
			}
		}
	}
}

// approve lets a device in that has joined. It asks every half minute.
func (c *Core) approve(d *machine) error {
	if d.row.Standing != store.Pending {
		return wire.Errorf(wire.ErrConflict, "approve: %s does not wait to be approved", d.row.ID)
	}
	d.row.Standing = store.Trusted
	c.batch.Device(d.row)
	c.event(cluster.Event{Kind: cluster.DeviceApproved, Device: d.row.ID})
	return nil
}

// remove forgets a device and bars its key. What it held goes back to the queue; it is not the device's loss but the owner's will.
func (c *Core) remove(d *machine) {
	s := d.session
	for _, t := range d.holding() {
		if s != nil {
			c.say(s.id, wire.Message{Type: wire.TypeTaskCancel, Target: d.row.ID, Body: wire.Cancel{Lease: t.lease(), Reason: "the device was removed"}})
		}
		c.lose(t, "its device was removed", abandoned)
	}
	if d.row.Standing != store.Untrusted {
		c.revoked[d.row.Fingerprint] = d.row.ID
		c.batch.Revoke(store.Revoked{Fingerprint: d.row.Fingerprint, Device: d.row.ID, At: c.now})
	}
	if s != nil {
		c.say(s.id, wire.Message{Type: wire.TypeError, Body: wire.NewError(c.notRevoked(d.row.Fingerprint))})
		c.hangUp(s)
	}
	c.endSessions(filesOf + d.row.ID)
	c.spare(d)
	delete(c.devices, d.row.ID)
	c.named = nil
	delete(c.byKey, d.row.Fingerprint)
	c.ready.leave(d)
	delete(c.crowded, d)
	c.batch.RemoveDevice(d.row.ID)
	c.event(cluster.Event{Kind: cluster.DeviceRemoved, Device: d.row.ID})
}

// findDevice finds a device by its name, or by a beginning that no other has.
func (c *Core) findDevice(name string) (*machine, error) {
	if d := c.devices[name]; d != nil {
		return d, nil
	}
	var found *machine
	for id, d := range c.devices {
		if name != "" && strings.HasPrefix(id, name) {
			if found != nil {
				return nil, wire.Errorf(wire.ErrConflict, "%.70q: more than one device begins so", name)
			}
			found = d
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%.70q: %w; rc-status devices lists them", name, device.ErrNotFound)
	}
	return found, nil
}
