package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// mainNode is the main node's process: its core, its disk, and the connections to it.
type mainNode struct {
	w      *world
	path   string
	db     *store.DB
	core   *mainnode.Core
	life   int // counts its starts; things of an earlier life do not happen
	up     bool
	inputs []*mainnode.Input
	busy   bool // a round is on its way
	conns  map[int64]*conn
	last   int64
	leases int
	admin  string        // a token
	wall   time.Duration // by which its wall clock is wrong
	stuck  time.Time     // at which its wall clock stands still; zero: it goes
}

func newMainNode(w *world) *mainNode {
	m := &mainNode{w: w, path: filepath.Join(storeDir(w.t), "cluster.db"), conns: map[int64]*conn{}}
	w.t.Cleanup(func() {
		if m.db != nil {
			m.db.Close()
		}
	})
	m.open()
	token := wire.NewToken(wire.RoleAdmin)
	m.admin = token.String()
	b := m.db.NewBatch()
	b.Token(store.Token{ID: token.ID, Role: string(token.Role), Hash: token.Hash(), Created: w.now})
	if err := b.Commit(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (m *mainNode) open() {
	var err error
	if m.db, err = store.Open(context.Background(), m.path); err != nil {
		m.w.t.Fatal(err)
	}
}

// now is the time as this process reads it.
func (m *mainNode) now() time.Time {
	if !m.stuck.IsZero() {
		return stamp(m.stuck, m.w.since())
	}
	return stamp(m.w.now.Add(m.wall), m.w.since())
}

func (m *mainNode) start() {
	if m.up {
		return
	}
	if m.db == nil {
		m.open()
	}
	lease := func() string { // random in the real one; here it must only never be the same
		m.leases++
		return fmt.Sprintf("lease-%d", m.leases)
	}
	ctx := context.Background()
	last, err := m.db.LastEvent(ctx)
	if err != nil {
		m.w.t.Fatal(err)
	}
	if m.core, err = mainnode.NewCore(ctx, mainnode.Defaults(), m.db, slog.New(slog.DiscardHandler), m.now(), lease); err != nil {
		m.w.t.Fatal(err)
	}
	m.w.log("main node: starts, its clock is wrong by %s", m.wall)
	m.life++
	m.up, m.busy, m.inputs = true, false, nil
	m.w.see(observation{what: mainStarted, seq: last})
	m.commit(m.core.Start(m.now()))
	m.tick(m.life)
}

func (m *mainNode) tick(life int) {
	if m.life == life && m.up {
		m.wake()
		m.w.after(time.Second, func() { m.tick(life) })
	}
}

// crash ends the process. Every connection breaks; what was not committed is gone.
func (m *mainNode) crash() {
	if !m.up {
		return
	}
	m.w.log("main node: crashes")
	m.up = false
	m.w.see(observation{what: mainDied})
	m.db.Close()
	m.db = nil
	for _, session := range slices.Sorted(maps.Keys(m.conns)) { // in an order that is the same in every replay
		m.conns[session].end()
	}
	clear(m.conns)
}

// give is a message that arrives.
func (m *mainNode) give(in *mainnode.Input) {
	if m.up {
		m.inputs = append(m.inputs, in)
		m.wake()
	}
}

// wake lets a round begin in a moment; what arrives until then belongs to it.
func (m *mainNode) wake() {
	if m.busy {
		return
	}
	m.busy = true
	life := m.life
	m.w.after(m.w.soon(3*time.Millisecond), func() {
		if m.life == life && m.up {
			m.round()
		}
	})
}

// round decides, commits, acts; a crash may come between any two of these.
func (m *mainNode) round() {
	inputs := m.inputs
	m.inputs, m.busy = nil, false
	for _, in := range inputs {
		if c := m.conns[in.Session]; c != nil && c.device != "" && in.Body != nil {
			m.w.see(observation{what: heard, device: c.device})
			switch r := in.Body.(type) {
			case *wire.Release:
				m.w.see(observation{what: gaveBack, device: c.device, lease: r.Lease})
			case *wire.Result:
				if r.Status == task.AttemptReleased {
					m.w.see(observation{what: gaveBack, device: c.device, lease: r.Lease})
				}
			}
		}
	}
	r := m.core.Decide(m.now(), inputs)
	if m.crashNow(len(inputs)) {
		m.w.log("main node: crashed before a commit")
		return
	}
	for i := range r.Effects {
		m.welcomed(&r.Effects[i])
	}
	m.commit(r)
	if m.crashNow(len(inputs)) {
		m.w.log("main node: crashed after a commit, before it said anything")
		return
	}
	for i := range r.Effects {
		m.act(&r.Effects[i])
	}
}

// commit writes what was decided, and lets the onlooker see what stands on the disk then.
func (m *mainNode) commit(r mainnode.Round) {
	if err := r.Batch.Commit(context.Background()); err != nil {
		m.w.t.Fatal(err)
	}
	for i := range r.Events {
		switch e := &r.Events[i]; e.Kind {
		case cluster.JobSubmitted:
			m.w.see(observation{what: added, many: e.Count})
		case cluster.TaskRetried:
			m.w.see(observation{what: retried, lease: task.Lease{Task: e.Task}})
		}
	}
	touched := slices.Clone(r.Touched)
	for i := range r.Effects {
		if s, ok := r.Effects[i].Message.Body.(wire.Submitted); ok {
			touched = append(touched, s.Tasks...)
		}
	}
	slices.Sort(touched)
	for _, id := range slices.Compact(touched) {
		m.show(id)
	}
	for i := range r.Events {
		e := &r.Events[i]
		m.w.see(observation{what: happened, seq: e.Seq})
		if e.Kind == cluster.TaskEnded {
			m.w.see(observation{what: ended, lease: task.Lease{Task: e.Task}, state: e.State})
		}
	}
}

// show lets the onlooker see a task as it stands on the disk, and before that how the attempts stand that it has had since they last looked.
func (m *mainNode) show(id task.ID) {
	o := observation{what: stands, lease: task.Lease{Task: id}}
	t, err := m.db.Task(context.Background(), id)
	if err == nil {
		o.mode = modeOf(&t.Spec)
		for n := max(1, m.w.judge.task(id).lease.Attempt); n < t.Attempt; n++ {
			before := o
			before.state = task.Queued
			m.showAttempt(before, n)
		}
		o.state = t.State
	}
	m.showAttempt(o, t.Attempt)
}

func (m *mainNode) showAttempt(o observation, number int) {
	id := o.lease.Task
	a, ok, err := m.db.Attempt(context.Background(), id, number)
	if err != nil {
		m.w.t.Fatal(err)
	}
	o.lease.Attempt = number
	if ok {
		o.lease.Token, o.outcome, o.device = a.Lease, a.Outcome, a.Device
	}
	m.w.log("main node: %s stands as %s, attempt %d on %s is %s", id, o.state, o.lease.Attempt, o.device, o.outcome)
	m.w.see(o)
}

// showAll lets the onlooker see all that is on the disk, when everything is at rest.
func (m *mainNode) showAll() {
	ctx := context.Background()
	for _, id := range slices.Sorted(maps.Keys(m.w.judge.tasks)) {
		m.show(id)
		t := m.w.judge.tasks[id]
		if t.state != task.Completed {
			continue
		}
		chunks, err := m.db.Output(ctx, id, t.lease.Attempt, 0, 1<<30)
		if err != nil {
			m.w.t.Fatal(err)
		}
		var text strings.Builder
		for _, c := range chunks {
			text.Write(c.Data)
		}
		m.w.see(observation{what: kept, lease: t.lease, text: text.String()})
	}
}

// crashNow crashes it at the worst moment, now and then, while there are faults.
func (m *mainNode) crashNow(inputs int) bool {
	if inputs == 0 || !m.w.faulty || !m.w.chance(400) {
		return false
	}
	m.w.faults++
	m.crash()
	m.w.after(m.w.soon(2*time.Minute), m.start)
	return true
}

// welcomed notes that a hello was one that counts.
func (m *mainNode) welcomed(e *mainnode.Effect) {
	if body, ok := e.Message.Body.(wire.Welcome); ok && body.DeviceID != "" && m.conns[e.Session] != nil {
		m.conns[e.Session].device = body.DeviceID
		m.w.see(observation{what: heard, device: body.DeviceID})
	}
}

func (m *mainNode) act(e *mainnode.Effect) {
	c := m.conns[e.Session]
	if c == nil {
		return
	}
	if a, ok := e.Message.Body.(wire.Assign); ok {
		m.w.see(observation{what: assigned, device: c.device, lease: a.Task.Lease})
	}
	if e.Message.Type != "" {
		c.toPeer(e.Message)
	}
	if e.Close {
		delete(m.conns, c.session)
		c.finish()
	}
}

// ask lets the core be asked between two messages; answer happens when what it decided is committed.
func (m *mainNode) ask(question func(*mainnode.Core) bool, answer func()) {
	if !m.up {
		return
	}
	life := m.life
	m.give(mainnode.Ask(func(core *mainnode.Core) {
		if question(core) {
			m.w.after(10*time.Millisecond, func() { // by then it is committed, or the main node has crashed
				if m.life == life && m.up {
					answer()
				}
			})
		}
	}))
}
