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
	slots   int
	core    *rcworker.Core
	life    int
	up      bool
	gone    bool // for ever
	conn    *conn
	away    time.Time // no network until then
	asleep  time.Time // nothing on the device happens until then, but its clock goes on
	frozen  time.Time // its process does nothing until then; its programs run on
	waiting []func()  // what the process will do when it can
	running map[task.Lease]*program
	timer   int
	heard   time.Time // when it last heard of the main node, on this connection
	slow    time.Time // nothing that is sent on a new connection arrives before
	patient bool      // never gives a connection up

	// On disk:
	boot   int64
	number int64 // of connections in this life
	spool  []rcworker.Spooled
}

// program is a process that an attempt runs.
type program struct {
	lease  task.Lease
	does   behaviour
	prints []string // still to be printed
	killed bool
	over   bool
}

func (w *world) addWorker(slots int) *worker {
	d := &worker{w: w, name: fmt.Sprintf("device%d", len(w.workers)+1), slots: slots}
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
	if power && len(d.spool) > 0 {
		keep := len(d.spool)
		if !d.w.calm {
			keep = d.w.rng.IntN(len(d.spool) + 1)
		}
		for _, k := range d.spool[keep:] {
			d.w.see(observation{what: spoilt, device: d.name, lease: k.Lease})
		}
		d.spool = d.spool[:keep]
	}
	if c := d.conn; c != nil {
		d.conn = nil
		c.cut(0)
		if !power {
			c.tellMain()
		}
	}
}

// now is the time as this device reads it: its wall clock was never set, and beside it goes a clock that sleep does not stop.
func (d *worker) now() time.Time {
	return stamp(time.Unix(0, 0).Add(d.w.since()), d.w.since()+time.Duration(d.boot)*time.Hour)
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
	c = d.w.main.connect("key of "+d.name, func(m wire.Message) { d.hear(c, m) }, func() {
		if d.life == life && d.up {
			d.process(func() { d.hangUp(c) })
		}
	})
	c.heldUp = d.slow
	d.conn, d.heard = c, d.w.now
	d.later(silence, func() { d.listen(c) })
	if d.boot == 1 && d.number == 0 {
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
	life := d.life
	d.later(d.w.soon(20*time.Second), func() { d.dial(life) })
}

func (d *worker) hello() {
	d.number++
	d.conn.toMain(wire.Message{Type: wire.TypeHello, ID: "hello", Body: wire.Hello{Protocol: wire.Spoken, BootCount: d.boot, Session: d.number, Held: d.core.Held()}})
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
		c.toMain(wire.Message{Type: wire.TypeRegister, ID: "register", Body: device.Profile{Slots: d.slots, TaskTypes: []string{work}}})
		d.step(rcworker.Welcomed{Welcome: welcome})
		d.w.see(observation{what: synced, device: d.name, since: said})
	case m.Type == wire.TypeError && (m.ReplyTo == "hello" || m.ReplyTo == "join"):
		d.refused(c, &m)
	default:
		d.judged(&m)
		d.step(rcworker.Received{Message: m})
		if m.ReplyTo == "heartbeat" {
			d.w.see(observation{what: synced, device: d.name, since: said})
		}
	}
}

func (d *worker) refused(c *conn, m *wire.Message) {
	var e wire.Error
	d.decode(m, &e)
	d.w.log("%s: is refused: %s %s", d.name, e.Code, e.Text)
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
	d.later(max(time.Millisecond, d.core.Next().Sub(d.now())), func() {
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
		d.send(wire.Message{Type: wire.TypeHeartbeat, ID: "heartbeat", Body: e.Heartbeat})
	case rcworker.StartAttempt:
		d.run(e)
	case rcworker.KillAttempt:
		d.kill(e.Lease)
	case rcworker.SpoolResult:
		d.spool = append(d.spool, e.Spooled)
		d.w.see(observation{what: spooled, device: d.name, lease: e.Lease, outcome: e.Result.Status})
	case rcworker.SpoolJudged:
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
	if r, ok := m.Body.(wire.Release); ok {
		d.w.see(observation{what: gaveBack, device: d.name, lease: r.Lease})
	}
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
	d.w.log("%s: starts %v", d.name, a.Lease)
	d.w.see(observation{what: started, device: d.name, lease: a.Lease})
	p := &program{lease: a.Lease, does: d.w.behaviourOf(a.Spec.Payload)}
	d.running[a.Lease] = p
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
		p.prints = append(p.prints, strings.Repeat(fmt.Sprintf("%s.%d.%d ", a.Lease.Task, a.Lease.Attempt, n), 1+d.w.rng.IntN(900))+"\n")
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
	d.end(p, task.Result{Status: status, ExitCode: &exit, Wall: 1})
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

func (d *worker) end(p *program, r task.Result) {
	if p.over {
		return
	}
	p.over = true
	delete(d.running, p.lease)
	d.w.see(observation{what: stopped, device: d.name, lease: p.lease})
	d.process(func() { d.step(rcworker.Ended{Lease: p.lease, Result: r}) })
}
