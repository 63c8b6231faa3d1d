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
	conn    *conn
	away    time.Time // no network until then
	asleep  time.Time // does nothing until then
	inbox   []rcworker.Input
	running map[task.Lease]*program
	timer   int

	// On disk:
	boot   int64
	number int64     // of connections in this life
	asked  time.Time // when the last hello was sent
	spool  []rcworker.Spooled
}

// program is a process that an attempt runs.
type program struct {
	lease  task.Lease
	prints []string // still to be printed
	killed bool
}

func (w *world) addWorker(slots int) *worker {
	d := &worker{w: w, name: fmt.Sprintf("device%d", len(w.workers)+1), slots: slots}
	w.workers = append(w.workers, d)
	d.start()
	return d
}

func (d *worker) start() {
	d.boot++
	d.life++
	d.number = 0
	d.up, d.running, d.inbox = true, map[task.Lease]*program{}, nil
	d.core = rcworker.NewCore(d.slots, slices.Clone(d.spool))
	d.dial(d.life)
}

// crash ends the process and with it its programs; with the power also the last writes to its disk are gone.
func (d *worker) crash(power bool) {
	d.w.log("%s: crashes, power %v, running %d", d.name, power, len(d.running))
	d.up = false
	for _, p := range d.running {
		d.w.history.stopped(p.lease)
	}
	if power && len(d.spool) > 0 {
		d.spool = d.spool[:d.w.rng.IntN(len(d.spool)+1)]
	}
	if d.conn != nil {
		d.conn.cut(!power)
		d.conn = nil
	}
}

// later does something in this life of the worker, when it is not asleep.
func (d *worker) later(after time.Duration, do func()) {
	life := d.life
	var try func()
	try = func() {
		if d.life != life || !d.up {
			return
		}
		if d.asleep.After(d.w.now) {
			d.w.after(d.asleep.Sub(d.w.now), try)
			return
		}
		do()
	}
	d.w.after(after, try)
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
		if d.conn == c && d.life == life && d.up {
			d.later(0, func() { d.hangUp(c) })
		}
	})
	d.conn = c
	if d.boot == 1 && d.number == 0 {
		c.toMain(wire.Message{Type: wire.TypeJoin, ID: "join", Body: wire.Join{Protocol: wire.Spoken, Token: d.w.history.admin, Name: d.name}})
	} else {
		d.hello()
	}
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
	d.asked = d.w.now
	d.conn.toMain(wire.Message{Type: wire.TypeHello, ID: "hello", Body: wire.Hello{Protocol: wire.Spoken, BootCount: d.boot, Session: d.number, Life: fmt.Sprint(d.name, d.life), Held: d.core.Held()}})
}

// hear is a message that arrives.
func (d *worker) hear(c *conn, m wire.Message) {
	d.later(0, func() {
		if d.conn != c {
			return
		}
		switch {
		case m.ReplyTo == "join" && m.Type == wire.TypeAck:
			d.hello()
		case m.Type == wire.TypeWelcome:
			var welcome wire.Welcome
			d.decode(&m, &welcome)
			c.toMain(wire.Message{Type: wire.TypeRegister, ID: "register", Body: device.Profile{Slots: d.slots, TaskTypes: []string{task.TypeEcho, task.TypeSleep}}})
			d.step(rcworker.Welcomed{Welcome: welcome, Asked: d.asked})
		case m.Type == wire.TypeError && (m.ReplyTo == "hello" || m.ReplyTo == "join"):
			var e wire.Error
			d.decode(&m, &e)
			if e.Code == "E_STALE_SESSION" {
				d.boot, d.number = e.BootCount+1, 0
			}
			c.cut(true)
		default:
			d.w.history.heard(&m)
			d.step(rcworker.Received{Message: m})
		}
	})
}

func (d *worker) decode(m *wire.Message, into any) {
	if err := m.Decode(into); err != nil {
		d.w.fail("%s cannot read %s: %v", d.name, m.Type, err)
	}
}

// step gives the core an input, and does what it wants.
func (d *worker) step(in rcworker.Input) {
	for _, e := range d.core.Step(d.w.now, in) {
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
		case rcworker.SpoolJudged:
			d.spool = slices.DeleteFunc(d.spool, func(k rcworker.Spooled) bool { return k.Lease == e.Lease })
		}
	}
	d.timer++
	mine := d.timer
	d.later(max(time.Millisecond, d.core.Next().Sub(d.w.now)), func() {
		if d.timer == mine {
			d.step(rcworker.Timer{})
		}
	})
}

func (d *worker) send(m wire.Message) {
	if d.conn == nil {
		return
	}
	d.conn.toMain(m)
	if o, ok := m.Body.(wire.Output); ok {
		d.later(d.w.soon(time.Second), func() { d.step(rcworker.Written{Bytes: int64(len(o.Text))}) })
	}
}

// run starts a program that prints now and then and ends after a while.
func (d *worker) run(a rcworker.StartAttempt) {
	d.w.history.started(d.name, a.Lease)
	p := &program{lease: a.Lease}
	for n := range d.w.rng.IntN(4) {
		p.prints = append(p.prints, strings.Repeat(fmt.Sprintf("%s.%d.%d ", a.Lease.Task, a.Lease.Attempt, n), 1+d.w.rng.IntN(900))+"\n")
	}
	d.running[a.Lease] = p
	d.later(d.w.soon(30*time.Second), func() { d.printNext(p) })
}

func (d *worker) printNext(p *program) {
	if p.killed {
		return
	}
	if len(p.prints) > 0 {
		text := p.prints[0]
		p.prints = p.prints[1:]
		d.w.history.printed(p.lease, text)
		d.step(rcworker.Printed{Lease: p.lease, Stream: task.Stdout, Data: []byte(text)})
		d.later(d.w.soon(d.w.longest()), func() { d.printNext(p) })
		return
	}
	status, exit := task.AttemptCompleted, 0
	if d.w.chance(8) {
		status, exit = task.AttemptFailed, 3
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
	delete(d.running, p.lease)
	d.w.history.stopped(p.lease)
	d.step(rcworker.Ended{Lease: p.lease, Result: r})
}
