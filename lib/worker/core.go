// Package worker is the heart of rc-workerd: the connection to the main node, the attempts that this device holds, the spool of results
// that are not judged yet. It is for rc-workerd alone; its API may change in any release.
//
// The core decides: a step function that sees messages, what attempts print and how they end, and time as arguments, and returns effects.
// Whatever it holds it goes on holding without a connection. Begin with Worker.
package worker

import (
	"cmp"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Bounds of what is on its way at a time.
const (
	flushAfter  = 100 * time.Millisecond // that output may wait for more
	flushAt     = 8 << 10                // bytes of output that need not wait
	maxInFlight = 256 << 10              // bytes of output that the connection has not taken
	maxInline   = 16 << 10               // bytes of output that come with the result: a slow link is never silent for long
	spoolQuota  = 64 << 20               // bytes of results not judged, above which no task is taken
	spoolMost   = 1000                   // such results
	restTime    = 30 * time.Second       // for a device that had no room for another process
)

// Core is what the worker knows. It is not safe for many goroutines.
type Core struct {
	slots     int
	heartbeat time.Duration // as the main node wishes
	attempts  map[task.Lease]*attempt
	queue     []*attempt // that wait for a slot, in order
	running   int        // and lined up
	lines     func(taskType string) bool
	stands    func(taskType string) bool // whether attempts of the type can stand still; nil: all can
	taken     int64                      // attempts, ever
	spooled   int64                      // bytes of ended attempts

	connected  bool
	assignSeen int64
	lastID     int64
	asked      map[string]question // results that were sent, by message_id
	reports    reports
	pace       pace
	moved      time.Time // when the queue last did
	inFlight   int64
	nextBeat   time.Time
	flushDue   time.Time // zero: nothing waits to be flushed

	authority authority
	draining  bool
	stopping  bool          // running attempts are being killed
	pressed   string        // why nothing is taken now
	halted    time.Time     // since when what runs stands still; zero: it does not
	lenient   time.Duration // for which it may, before it is given back; 0: for ever
	resting   string        // why nothing is taken for a while
	rested    time.Time     // until then
	busy      time.Time

	now     time.Time
	effects []Effect
}

// attempt is an attempt that this device holds.
type attempt struct {
	lease   task.Lease
	spec    task.Spec
	order   int64 // in which they came
	state   wire.HeldState
	lined   bool // it runs, or waits in line behind one that is over in a moment
	began   time.Time
	output  output
	sent    int64 // bytes of output that were handed to the connection, or are known to have arrived
	result  task.Result
	spooled bool // the result is in the spool
	asked   bool // and was sent on this connection
	unknown bool // nobody wants to know how it ends

	progress  string // the newest it has said of that
	stood     bool   // still, for a while
	cancelled *wire.Cancel
	recalled  bool   // while it was lined up
	fenced    bool   // it is being ended because it may run elsewhere
	givenBack string // it is being ended so that it may, for this reason
}

// NewCore makes the core of a worker that runs so many attempts at once, and that holds what its spool has kept.
func NewCore(slots int, kept []Spooled) *Core {
	c := &Core{slots: slots, heartbeat: time.Minute, attempts: map[task.Lease]*attempt{}, asked: map[string]question{}}
	for _, k := range kept {
		a := &attempt{lease: k.Lease, state: wire.HeldEnded, result: k.Result, spooled: true}
		for _, chunk := range k.Chunks {
			a.output.add(chunk.Stream, chunk.After, chunk.Data)
		}
		c.attempts[k.Lease] = a
		c.spooled += a.output.size
	}
	return c
}

// Step takes one input and returns what is to be done.
func (c *Core) Step(now time.Time, in Input) []Effect {
	c.now, c.effects = now, nil
	switch in := in.(type) {
	case Welcomed:
		c.welcome(&in)
	case Disconnected:
		c.connected = false
		clear(c.asked)
	case Received:
		c.receive(&in.Message)
	case Printed:
		c.printed(&in)
	case Progressed:
		c.progressed(&in)
	case Begun:
		c.turned(in.Lease)
	case Unbegun:
		c.unbegun(in.Lease)
	case Ended:
		c.ended(&in)
	case Written:
		c.inFlight -= in.Bytes
		c.flush()
	case Drain:
		c.drain()
	case Stop:
		c.stop()
	case Pressed:
		c.press(&in)
	}
	c.time()
	c.spare()
	c.start()
	c.report()
	c.leave()
	return c.effects
}

func (c *Core) do(e Effect) { c.effects = append(c.effects, e) }

// send says something to the main node, if there is a connection; what matters is said again after the next welcome.
func (c *Core) send(messageType string, body any) {
	if c.connected {
		c.do(SendMessage{Message: wire.Message{Type: messageType, Body: body}})
	}
}

// welcome begins a session: what the main node does not want is ended, and what it has not heard of is told.
func (c *Core) welcome(w *Welcomed) {
	c.connected, c.assignSeen, c.inFlight = true, 0, 0
	c.authority.begin(w.Lease, w.Asked)
	c.refence()
	if w.Heartbeat > 0 {
		c.heartbeat = time.Duration(w.Heartbeat * float64(time.Second))
	}
	c.nextBeat = c.now
	for _, a := range c.attempts {
		a.asked = false
	}
	for _, h := range w.Held {
		a := c.attempts[h.Lease]
		switch {
		case a == nil:
		case h.Verdict == wire.Kill:
			c.unwanted(a, "the main node does not want it any more")
		default:
			a.sent = min(h.OutputBytes, a.output.size)
		}
	}
	for _, a := range c.sorted() {
		c.tellProgress(a)
	}
	c.flush()
}

// Held is what hello and heartbeats list.
func (c *Core) Held() []wire.Held {
	list := make([]wire.Held, 0, len(c.attempts))
	for _, a := range c.sorted() {
		if !a.unknown {
			list = append(list, wire.Held{Lease: a.lease, State: a.held(), OutputBytes: a.output.size})
		}
	}
	return list
}

// sorted is all attempts in an order that does not hang on a map's.
func (c *Core) sorted() []*attempt {
	all := make([]*attempt, 0, len(c.attempts))
	for _, a := range c.attempts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(a.lease.Task, b.lease.Task), cmp.Compare(a.lease.Attempt, b.lease.Attempt))
	})
	return all
}

func (c *Core) receive(m *wire.Message) {
	switch m.Type {
	case wire.TypeTaskAssign:
		var a wire.Assign
		if m.Decode(&a) == nil {
			c.assign(&a)
		}
	case wire.TypeTaskCancel:
		var k wire.Cancel
		if m.Decode(&k) == nil && c.attempts[k.Lease] != nil {
			c.cancel(c.attempts[k.Lease], &k)
		}
	case wire.TypeTaskRecall:
		var r wire.Recall
		if m.Decode(&r) == nil && c.attempts[r.Lease] != nil {
			c.recall(c.attempts[r.Lease])
		}
	case wire.TypeAck:
		c.acked(m)
	case wire.TypeError:
		c.failed(m)
	}
}

// assign takes an attempt.
func (c *Core) assign(m *wire.Assign) {
	c.assignSeen = m.Number
	l := m.Task.Lease
	switch {
	case c.attempts[l] != nil:
		return
	case c.draining:
		c.send(wire.TypeTaskRelease, wire.Release{Lease: l, Reason: "the device is draining"})
		return
	case c.full():
		c.beat() // says so, before another comes
		c.send(wire.TypeTaskRelease, wire.Release{Lease: l, Reason: "the device holds too many results that could not be sent"})
		return
	case c.unable() != "":
		c.beat()
		c.send(wire.TypeTaskRelease, wire.Release{Lease: l, Reason: c.unable()})
		return
	}
	c.taken++
	a := &attempt{lease: l, spec: m.Task.Spec, order: c.taken, state: wire.HeldWaiting}
	c.attempts[l] = a
	if len(c.queue) == 0 {
		c.moved = c.now
	}
	c.queue = append(c.queue, a)
}

// unable says why the device cannot take anything now; empty: it can.
func (c *Core) unable() string {
	if c.pressed == "" && c.now.Before(c.rested) {
		return c.resting
	}
	return c.pressed
}

func (c *Core) full() bool {
	return c.spooled > spoolQuota || len(c.attempts)-len(c.queue) > spoolMost+2*c.slots
}

// start starts what waits, while there are slots or room in the lines behind them; not what may have been given to another while this device slept or was cut off, until
// the main node has answered.
func (c *Core) start() {
	for len(c.queue) > 0 && c.unable() == "" && c.now.Before(c.authority.until) {
		a := c.queue[0]
		lined := c.canLine(a)
		if !lined && c.running >= c.slots {
			return
		}
		c.queue = c.queue[1:]
		a.state, a.lined, a.began, c.moved = wire.HeldRunning, lined, c.now, c.now
		c.running++
		start := StartAttempt{Lease: a.lease, Spec: a.spec}
		if lined {
			start.Lined, start.BeginBy = true, c.authority.until
		} else {
			c.begun(a)
		}
		if a.spec.Exclusive {
			start.Until, start.Grace = c.authority.until, graceOf(c.authority.lease)
		}
		c.do(start)
	}
}

// cancel ends an attempt that somebody cancelled, or that is wanted back.
func (c *Core) cancel(a *attempt, m *wire.Cancel) {
	switch a.state {
	case wire.HeldWaiting:
		c.unqueue(a)
		c.forget(a)
		if m.GiveBack {
			c.send(wire.TypeTaskRelease, wire.Release{Lease: a.lease, Reason: m.Reason})
		}
	case wire.HeldRunning:
		if m.GiveBack {
			a.givenBack = m.Reason
		}
		a.cancelled = m
		c.do(KillAttempt{a.lease, m.Reason})
	}
}

// recall gives back an attempt that another device could begin at once, unless it is begun by now.
func (c *Core) recall(a *attempt) {
	if a.recalled = a.lined; a.state != wire.HeldWaiting {
		return // which the main node will hear soon, if it has not yet
	}
	c.unqueue(a)
	c.forget(a)
	c.send(wire.TypeTaskRelease, wire.Release{Lease: a.lease, Reason: "wanted elsewhere"})
}

// unwanted ends an attempt whose end nobody wants to know.
func (c *Core) unwanted(a *attempt, reason string) {
	switch a.state {
	case wire.HeldRunning:
		a.unknown = true
		c.do(KillAttempt{a.lease, reason})
	case wire.HeldWaiting:
		c.unqueue(a)
		c.forget(a)
	}
	// One that has ended is judged when its result comes.
}

func (c *Core) unqueue(a *attempt) {
	c.queue = slices.DeleteFunc(c.queue, func(o *attempt) bool { return o == a })
}

func (c *Core) forget(a *attempt) { delete(c.attempts, a.lease) }

// beaten takes the answer to a heartbeat: what the main node does not want is ended, and results without a verdict are sent again.
func (c *Core) beaten(m *wire.Message) {
	var ack wire.HeartbeatAck
	if m.ReplyTo != HeartbeatID || m.Decode(&ack) != nil {
		return
	}
	c.authority.answered(true)
	c.refence()
	for _, l := range ack.Kill {
		if a := c.attempts[l]; a != nil {
			c.unwanted(a, "the main node does not want it any more")
		}
	}
	if len(c.asked) > 0 {
		return // verdicts come in order: these are on their way
	}
	c.results()
}

// time does what is due.
func (c *Core) time() {
	if !c.flushDue.IsZero() && !c.now.Before(c.flushDue) {
		c.flush()
	}
	if c.resting != "" && !c.now.Before(c.rested) {
		c.resting, c.nextBeat = "", c.now
	}
	if c.connected && !c.now.Before(c.nextBeat) {
		c.beat()
	}
	c.fence()
	c.giveBack()
}

// Next is when time is to be looked at again.
func (c *Core) Next() time.Time {
	next := c.now.Add(time.Hour)
	if c.connected && c.nextBeat.Before(next) {
		next = c.nextBeat
	}
	for _, due := range []time.Time{c.flushDue, c.reports.due} {
		if !due.IsZero() && due.Before(next) {
			next = due
		}
	}
	if c.resting != "" && c.rested.Before(next) {
		next = c.rested
	}
	if wait := c.patience(); c.crowded() && wait.Before(next) {
		next = wait
	}
	if c.lenient > 0 && !c.halted.IsZero() {
		if due := c.halted.Add(c.lenient); due.After(c.now) && due.Before(next) {
			next = due
		}
	}
	if until := c.authority.until; until.After(c.now) && until.Before(next) && c.running > 0 {
		next = until
	}
	return next
}

// HeartbeatID is the message_id of heartbeats; they are answered in order.
const HeartbeatID = "heartbeat"

func (c *Core) beat() {
	c.nextBeat = c.now.Add(c.heartbeat)
	h := wire.Heartbeat{AssignSeen: c.assignSeen, Held: c.Held(), Ahead: c.ahead()}
	h.ActiveTasks, h.Status = min(c.running, c.slots), device.Online
	switch {
	case c.draining:
		h.Status, h.Reason = device.Draining, "the worker is being stopped"
	case c.full():
		h.Status, h.Reason = device.Paused, "it holds too many results that could not be sent"
	case c.unable() != "":
		h.Status, h.Reason = device.Paused, c.unable()
	}
	if !c.busy.IsZero() {
		h.LastActivity = c.busy.UTC().Format(time.RFC3339)
	}
	c.authority.sent(c.now)
	c.do(SendHeartbeat{h})
}

// drain finishes what runs and takes nothing new; what waits is given back.
func (c *Core) drain() {
	if c.draining {
		return
	}
	c.draining = true
	if c.connected {
		c.beat() // before anything is given back, or it would come again
	}
	for _, a := range c.queue {
		c.send(wire.TypeTaskRelease, wire.Release{Lease: a.lease, Reason: "the device is draining"})
		c.forget(a)
	}
	c.queue = nil
	c.leaveNothingStanding()
}

// stop ends what runs; it is given back, not failed.
func (c *Core) stop() {
	c.drain()
	c.stopping = true
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning {
			c.do(KillAttempt{a.lease, "the worker is being stopped"})
		}
	}
}

// leave ends the worker when nothing is left to do. Results that cannot be sent now stay in the spool.
func (c *Core) leave() {
	if !c.draining || c.running > 0 || c.connected && len(c.attempts) > 0 {
		return
	}
	c.send(wire.TypeBye, nil)
	c.do(Quit{})
}
