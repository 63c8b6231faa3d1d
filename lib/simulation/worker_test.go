package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
	rcworker "github.com/retire-cluster/retire-cluster/lib/worker"
)

// worker is a device: its process, its disk, the programs that it runs.
type worker struct {
	w       *world
	name    string
	key     string  // of its certificate
	rate    float64 // of its clock: 1 is right
	slots   int
	wall    float64 // seconds that it takes every attempt to have run: a device where they are short lines others up
	core    *rcworker.Core
	life    int
	up      bool
	gone    bool // for ever
	conn    *conn
	away    time.Time     // no network until then
	asleep  time.Time     // nothing on the device happens until then, but its clock goes on
	slept   time.Duration // in all
	frozen  time.Time     // its process does nothing until then; its programs run on
	waiting []func()      // what the process will do when it can
	running map[task.Lease]*program
	timer   int
	asked   time.Time     // when the last hello was sent, by its clock
	heard   time.Time     // when it last heard of the main node, on this connection
	rest    time.Duration // for which it was told not to come again
	slow    time.Time     // nothing that is sent on a new connection arrives before
	patient bool          // never gives a connection up
	copied  bool          // its disk is that of another one, which has joined
	twice   bool          // it was told that there is another one with its key

	// On disk:
	boot   int64
	number int64 // of connections in this life
	spool  []rcworker.Spooled
	lately []rcworker.Spooled // left the spool a moment ago
}

// program is a process that an attempt runs.
type program struct {
	lease  task.Lease
	until  time.Time     // by the device's clock, when it must be over; zero: no matter when
	grace  time.Duration // to end by itself then
	fences int           // how often that was set
	does   behaviour
	prints []string // still to be printed
	lined  bool     // its turn has not come
	killed bool
	over   bool
}

func (w *world) addWorker(slots int) *worker {
	d := &worker{w: w, name: fmt.Sprintf("device%d", len(w.workers)+1), rate: 1, slots: slots, wall: 1}
	if w.lines = !w.lines; w.lines {
		d.wall = 0.001
	}
	d.key = "key of " + d.name
	if !w.calm {
		d.rate = 0.976 + 0.048*w.rng.Float64() // two clocks differ by 5 % at most
	}
	w.workers = append(w.workers, d)
	d.start()
	return d
}

func (d *worker) start() {
	if d.up || d.gone {
		return
	}
	d.boot++
	d.life++
	d.number = 0
	d.up, d.running, d.waiting = true, map[task.Lease]*program{}, nil
	d.core = rcworker.NewCore(d.slots, slices.Clone(d.spool))
	d.core.LineUp(func(string) bool { return true })
	d.w.log("%s: starts", d.name)
	d.dial(d.life)
}

// crash ends the process and with it its programs; with the power also the last writes to its disk are gone.
func (d *worker) crash(power bool) {
	if !d.up {
		return
	}
	d.w.log("%s: crashes, power %v, running %d", d.name, power, len(d.running))
	d.up = false
	d.w.see(observation{what: died, device: d.name})
	if power {
		d.tear()
	}
	if c := d.conn; c != nil {
		d.conn = nil
		c.cut(0)
		if !power {
			c.tellMain()
		}
	}
}

// tear lets the newest writes to the spool be gone, as when the power goes: results, and that some were judged. What must survive that was synced.
func (d *worker) tear() {
	keep := len(d.spool)
	for keep > 0 && !d.w.calm && !d.spool[keep-1].Synced && d.w.chance(2) {
		keep--
		d.w.see(observation{what: spoilt, device: d.name, lease: d.spool[keep].Lease})
	}
	d.spool = d.spool[:keep]
	if len(d.lately) > 0 && d.w.chance(3) {
		for _, k := range d.lately {
			d.w.see(observation{what: spooled, device: d.name, lease: k.Lease, outcome: k.Result.Status})
		}
		d.spool = slices.Concat(d.lately, d.spool)
	}
	d.lately = nil
}

// now is the time as this device reads it: its wall clock was never set, and goes on while it sleeps.
func (d *worker) now() time.Time {
	return time.Unix(0, 0).Add(time.Duration(float64(d.w.since()) * d.rate))
}

// in is the time until the device's clock shows something.
func (d *worker) in(at time.Time) time.Duration {
	return max(time.Millisecond, time.Duration(float64(at.Sub(d.now()))/d.rate))
}

// later lets the device do something, in this life, when it is not asleep.
func (d *worker) later(after time.Duration, do func()) {
	life := d.life
	var try func()
	try = func() {
		switch {
		case d.life != life || !d.up:
		case d.asleep.After(d.w.now):
			d.w.after(d.asleep.Sub(d.w.now), try)
		default:
			do()
		}
	}
	d.w.after(after, try)
}

// process lets the device's process do something, in order, when it is neither asleep nor frozen.
func (d *worker) process(do func()) {
	d.waiting = append(d.waiting, do)
	d.later(0, d.work)
}

func (d *worker) work() {
	if d.frozen.After(d.w.now) {
		d.later(d.frozen.Sub(d.w.now), d.work)
		return
	}
	for len(d.waiting) > 0 && d.up {
		do := d.waiting[0]
		d.waiting = d.waiting[1:]
		do()
	}
}

// sleep stops the whole device for a while.
func (d *worker) sleep(until time.Time) {
	if !d.up || d.asleep.After(d.w.now) {
		return
	}
	d.asleep = until
	d.slept += until.Sub(d.w.now)
	d.w.log("%s: sleeps until %s", d.name, until.Sub(epoch))
	d.w.see(observation{what: slept, device: d.name})
	life := d.life
	d.w.after(until.Sub(d.w.now), func() {
		d.w.see(observation{what: woke, device: d.name})
		if d.life == life {
			d.w.log("%s: wakes up", d.name)
		}
	})
}

// dial connects, as soon as it can.
func (d *worker) dial(life int) {
	if d.life != life || !d.up || d.conn != nil {
		return
	}
	if !d.w.main.up || d.away.After(d.w.now) {
		d.later(d.w.soon(20*time.Second), func() { d.dial(life) })
		return
	}
	var c *conn
	c = d.w.main.connect(d.key, func(m wire.Message) { d.hear(c, m) }, func() {
		if d.life == life && d.up {
			d.process(func() { d.hangUp(c) })
		}
	})
	c.heldUp = d.slow
	d.conn, d.heard = c, d.w.now
	d.later(silence, func() { d.listen(c) })
	if d.boot == 1 && d.number == 0 && !d.copied {
		c.toMain(wire.Message{Type: wire.TypeJoin, ID: "join", Body: wire.Join{Protocol: wire.Spoken, Token: d.w.main.admin, Name: d.name}})
	} else {
		d.hello()
	}
}

// silence is how long the main node may say nothing before the connection is given up: as in the real one, one heartbeat and a half.
const silence = 90 * time.Second

// listen gives a connection up on which nothing was heard for too long.
func (d *worker) listen(c *conn) {
	if d.conn != c {
		return
	}
	if quiet := d.w.now.Sub(d.heard); quiet < silence || d.patient {
		d.later(max(time.Second, silence-quiet), func() { d.listen(c) })
		return
	}
	d.w.log("%s: hears nothing, and connects again", d.name)
	c.cut(0)
}

func (d *worker) hangUp(c *conn) {
	if d.conn != c {
		return
	}
	d.conn = nil
	d.step(rcworker.Disconnected{})
	life, rest := d.life, d.rest
	d.rest = 0
	d.later(rest+d.w.soon(20*time.Second), func() { d.dial(life) })
}

func (d *worker) hello() {
	d.number++
	d.asked = d.now()
	d.conn.toMain(wire.Message{Type: wire.TypeHello, ID: "hello", Body: wire.Hello{Protocol: wire.Spoken, BootCount: d.boot, Session: d.number,
		Life: fmt.Sprint(d.name, " ", d.life), Held: d.core.Held()}})
}

// hear is a message that arrives.
func (d *worker) hear(c *conn, m wire.Message) {
	d.heard = d.w.now
	if d.up {
		d.process(func() {
			if d.conn == c {
				d.take(c, m)
			}
		})
	}
}

func (d *worker) take(c *conn, m wire.Message) {
	said, _ := time.ParseDuration(m.Timestamp)
	switch {
	case m.ReplyTo == "join" && m.Type == wire.TypeAck:
		d.hello()
	case m.Type == wire.TypeWelcome:
		var welcome wire.Welcome
		d.decode(&m, &welcome)
		d.w.log("%s: is welcome", d.name)
		c.toMain(wire.Message{Type: wire.TypeRegister, ID: "register", Body: d.profile()})
		d.step(rcworker.Welcomed{Welcome: welcome, Asked: d.asked})
		d.w.see(observation{what: synced, device: d.name, since: said})
	case m.Type == wire.TypeError && (m.ReplyTo == "hello" || m.ReplyTo == "join"):
		d.refused(c, &m)
	default:
		d.judged(&m)
		d.step(rcworker.Received{Message: m})
		if m.ReplyTo == rcworker.HeartbeatID && m.Type == wire.TypeAck {
			d.w.see(observation{what: synced, device: d.name, since: said})
		}
	}
}

func (d *worker) profile() device.Profile {
	return device.Profile{Slots: d.slots, TaskTypes: []string{work}}
}

func (d *worker) refused(c *conn, m *wire.Message) {
	var e wire.Error
	d.decode(m, &e)
	d.w.log("%s: is refused: %s %s", d.name, e.Code, e.Text)
	d.twice = d.twice || e.Code == "E_DUPLICATE_IDENTITY"
	d.rest = e.Wait()
	if e.Code == "E_STALE_SESSION" {
		d.boot, d.number = e.BootCount+1, 0
	}
	c.cut(0)
}

func (d *worker) decode(m *wire.Message, into any) {
	if err := m.Decode(into); err != nil {
		d.w.fail("%s cannot read %s: %v", d.name, m.Type, err)
	}
}

// judged lets the onlooker see a verdict that arrives.
func (d *worker) judged(m *wire.Message) {
	var j wire.Judged
	if m.Type == wire.TypeAck && m.Decode(&j) == nil && j.Verdict != "" {
		d.w.see(observation{what: judged, device: d.name, lease: j.Lease, verdict: j.Verdict})
	}
}

// step gives the core an input, and does what it wants.
func (d *worker) step(in rcworker.Input) {
	for _, e := range d.core.Step(d.now(), in) {
		d.do(e)
		if d.w.faulty && d.w.chance(20_000) { // between two of them
			d.w.faults++
			d.crash(d.w.chance(2))
			d.w.after(d.w.soon(2*time.Minute), d.start)
			return
		}
	}
	d.timer++
	mine := d.timer
	d.later(d.in(d.core.Next()), func() {
		if d.timer == mine {
			d.process(func() { d.step(rcworker.Timer{}) })
		}
	})
}

func (d *worker) do(e rcworker.Effect) {
	switch e := e.(type) {
	case rcworker.SendMessage:
		d.send(e.Message)
	case rcworker.SendHeartbeat:
		d.send(wire.Message{Type: wire.TypeHeartbeat, ID: rcworker.HeartbeatID, Body: e.Heartbeat})
	case rcworker.StartAttempt:
		d.run(e)
	case rcworker.Fence:
		d.fence(e)
	case rcworker.KillAttempt:
		d.kill(e.Lease)
	case rcworker.ParkResult:
		d.w.log("%s: puts the result of %v aside", d.name, e.Lease)
	case rcworker.SpoolResult:
		d.spool = append(d.spool, e.Spooled)
		d.w.see(observation{what: spooled, device: d.name, lease: e.Lease, outcome: e.Result.Status})
	case rcworker.SpoolJudged:
		for _, k := range d.spool {
			if k.Lease == e.Lease {
				d.lately = append(d.lately, k)
			}
		}
		d.lately = d.lately[max(0, len(d.lately)-3):]
		d.spool = slices.DeleteFunc(d.spool, func(k rcworker.Spooled) bool { return k.Lease == e.Lease })
		d.w.see(observation{what: forgot, device: d.name, lease: e.Lease})
	case rcworker.Quit:
		d.quit()
	}
}

// quit ends the process, which has nothing left to do.
func (d *worker) quit() {
	d.w.log("%s: leaves", d.name)
	d.up = false
	d.w.see(observation{what: died, device: d.name})
	if c := d.conn; c != nil {
		d.conn = nil
		c.cut(0)
		d.w.after(time.Second, c.tellMain)
	}
}

func (d *worker) send(m wire.Message) {
	if d.conn == nil {
		return
	}
	d.conn.toMain(m)
	if o, ok := m.Body.(wire.Output); ok {
		c := d.conn
		d.later(d.w.soon(time.Second), func() {
			d.process(func() {
				if d.conn == c {
					d.step(rcworker.Written{Bytes: int64(len(o.Text))})
				}
			})
		})
	}
}

// run starts a program that prints now and then and ends after a while.
func (d *worker) run(a rcworker.StartAttempt) {
	p := &program{lease: a.Lease, does: d.w.behaviourOf(a.Spec.Payload), lined: a.Lined}
	d.running[a.Lease] = p
	if p.lined {
		d.w.lined++
		d.w.log("%s: lines up %v", d.name, p.lease)
		d.later(d.w.soon(20*time.Millisecond), func() { d.turn(p, a.BeginBy) })
		return
	}
	d.begin(p)
	if !a.Until.IsZero() {
		d.fence(rcworker.Fence{Lease: a.Lease, Until: a.Until, Grace: a.Grace})
	}
}

// turn begins what was lined up, unless it waited for too long.
func (d *worker) turn(p *program, by time.Time) {
	switch {
	case p.killed || p.over:
	case d.now().After(by) || d.w.chance(4):
		d.w.log("%s: does not begin %v", d.name, p.lease)
		delete(d.running, p.lease)
		p.over = true
		d.process(func() { d.step(rcworker.Unbegun{Lease: p.lease}) })
	default:
		p.lined = false
		d.begin(p)
		d.process(func() { d.step(rcworker.Begun{Lease: p.lease}) })
	}
}

func (d *worker) begin(p *program) {
	d.w.log("%s: starts %v", d.name, p.lease)
	d.w.see(observation{what: started, device: d.name, lease: p.lease})
	if p.does.Poison {
		d.later(d.w.soon(20*time.Second), func() { d.poisoned(p) })
		return
	}
	if p.does.Runs > 0 {
		d.later(p.does.Runs/2, func() { d.print(p, "half\n") })
		d.later(p.does.Runs, func() { d.over(p) })
		return
	}
	for n := range d.w.rng.IntN(4) {
		p.prints = append(p.prints, strings.Repeat(fmt.Sprintf("%s.%d.%d ", p.lease.Task, p.lease.Attempt, n), 1+d.w.rng.IntN(900))+"\n")
	}
	d.later(d.w.soon(30*time.Second), func() { d.printNext(p) })
}

// poisoned dies of a task.
func (d *worker) poisoned(p *program) {
	if p.killed || p.over {
		return
	}
	d.crash(d.w.chance(2))
	d.w.after(d.w.soon(2*time.Minute), d.start)
}

func (d *worker) print(p *program, text string) {
	if p.killed || p.over {
		return
	}
	d.w.see(observation{what: printed, lease: p.lease, text: text})
	d.process(func() { d.step(rcworker.Printed{Lease: p.lease, Stream: task.Stdout, Data: []byte(text)}) })
}

func (d *worker) printNext(p *program) {
	if len(p.prints) == 0 {
		d.over(p)
		return
	}
	text := p.prints[0]
	p.prints = p.prints[1:]
	d.print(p, text)
	d.later(d.w.soon(d.w.longest()), func() { d.printNext(p) })
}

// over ends a program by itself.
func (d *worker) over(p *program) {
	if p.killed {
		return
	}
	status, exit := task.AttemptCompleted, p.does.Exit
	if exit != 0 || d.w.chance(8) {
		status, exit = task.AttemptFailed, max(exit, 3)
	}
	d.end(p, task.Result{Status: status, ExitCode: &exit, Wall: d.wall})
}

// longest is how long a program may be silent: most are quick, some outlast every fault.
func (w *world) longest() time.Duration {
	if w.chance(5) {
		return 30 * time.Minute
	}
	return time.Minute
}

func (d *worker) kill(l task.Lease) {
	p := d.running[l]
	if p == nil || p.killed {
		return
	}
	p.killed = true
	d.later(d.w.soon(10*time.Second), func() { d.end(p, task.Result{Status: task.AttemptCancelled}) })
}

// fence sets when a program must be over. Its slot's helper sees to that, even while the process stands still.
func (d *worker) fence(f rcworker.Fence) {
	if p := d.running[f.Lease]; p != nil {
		p.until, p.grace = f.Until, f.Grace
		p.fences++
		d.watch(p, p.fences)
	}
}

// watch ends a program whose time is up: it is asked to end, and made to.
func (d *worker) watch(p *program, fence int) {
	now := d.now()
	switch {
	case p.over || p.fences != fence:
	case p.until.After(now):
		d.later(d.in(p.until), func() { d.watch(p, fence) })
	default:
		most := max(p.until.Add(p.grace).Sub(now), time.Second)
		d.later(d.in(now.Add(d.w.soon(most))), func() { d.end(p, task.Result{Status: task.AttemptLost}) })
	}
}

func (d *worker) end(p *program, r task.Result) {
	if p.over {
		return
	}
	p.over = true
	delete(d.running, p.lease)
	d.w.log("%s: %v ends, %s", d.name, p.lease, r.Status)
	if !p.lined {
		d.w.see(observation{what: stopped, device: d.name, lease: p.lease})
	}
	d.process(func() { d.step(rcworker.Ended{Lease: p.lease, Result: r}) })
}
