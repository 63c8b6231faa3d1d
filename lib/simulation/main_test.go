package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/store"
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
}

func newMainNode(w *world) *mainNode {
	m := &mainNode{w: w, path: filepath.Join(storeDir(w.t), "cluster.db"), conns: map[int64]*conn{}}
	w.t.Cleanup(func() {
		if m.db != nil {
			m.db.Close()
		}
	})
	m.start()
	return m
}

func (m *mainNode) start() {
	var err error
	if m.db, err = store.Open(context.Background(), m.path); err != nil {
		m.w.t.Fatal(err)
	}
	lease := func() string { // random in the real one; here it must only never be the same
		m.leases++
		return fmt.Sprintf("lease-%d", m.leases)
	}
	if m.core, err = mainnode.NewCore(context.Background(), mainnode.Defaults(), m.db, slog.New(slog.DiscardHandler), m.w.now, lease); err != nil {
		m.w.t.Fatal(err)
	}
	m.life++
	m.up, m.busy, m.inputs = true, false, nil
	if err := m.core.Start(m.w.now).Batch.Commit(context.Background()); err != nil {
		m.w.t.Fatal(err)
	}
	m.tick(m.life)
}

// admin makes the token that clients and devices use.
func (m *mainNode) admin() {
	token := wire.NewToken(wire.RoleAdmin)
	m.w.history.admin = token.String()
	b := m.db.NewBatch()
	b.Token(store.Token{ID: token.ID, Role: string(token.Role), Hash: token.Hash(), Created: m.w.now})
	if err := b.Commit(context.Background()); err != nil {
		m.w.t.Fatal(err)
	}
	m.up = false
	m.db.Close()
	m.start()
}

func (m *mainNode) tick(life int) {
	if m.life == life && m.up {
		m.wake()
		m.w.after(time.Second, func() { m.tick(life) })
	}
}

// crash ends the process. Every connection breaks; what was not committed is gone.
func (m *mainNode) crash() {
	m.w.log("main node: crashes")
	m.up = false
	m.db.Close()
	for _, session := range slices.Sorted(maps.Keys(m.conns)) { // in an order that is the same in every replay
		m.conns[session].cut(true)
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
	r := m.core.Decide(m.w.now, inputs)
	if m.crashNow(len(inputs)) {
		m.w.log("main node: crashes before a commit")
		return
	}
	if err := r.Batch.Commit(context.Background()); err != nil {
		m.w.t.Fatal(err)
	}
	if m.crashNow(len(inputs)) {
		m.w.log("main node: crashes after a commit, before it says anything")
		return
	}
	for i := range r.Effects {
		m.act(&r.Effects[i])
	}
}

// crashNow crashes it at the worst moment, now and then, while there are faults.
func (m *mainNode) crashNow(inputs int) bool {
	if inputs == 0 || !m.w.history.faulty || !m.w.chance(400) {
		return false
	}
	m.w.faults++
	m.crash()
	m.w.after(m.w.soon(2*time.Minute), m.start)
	return true
}

func (m *mainNode) act(e *mainnode.Effect) {
	c := m.conns[e.Session]
	if c == nil {
		return
	}
	if e.Message.Type != "" {
		m.w.history.said(&e.Message)
		c.toPeer(e.Message)
	}
	if e.Close {
		delete(m.conns, c.session)
		c.cut(true)
	}
}

// conn is a connection to the main node. Messages arrive in order, or not at all.
type conn struct {
	w       *world
	session int64
	key     string // the peer's certificate
	peer    func(wire.Message)
	lost    func() // the peer notices that it is gone
	dead    bool
	up, dn  time.Time // when the last message of each direction arrives
}

func (m *mainNode) connect(key string, peer func(wire.Message), lost func()) *conn {
	m.last++
	c := &conn{w: m.w, session: m.last, key: key, peer: peer, lost: lost}
	m.conns[c.session] = c
	return c
}

// arrive gives the time at which a message arrives that is sent now, behind the one before it.
func (c *conn) arrive(before *time.Time) time.Duration {
	at := c.w.now.Add(time.Millisecond + c.w.soon(20*time.Millisecond))
	if c.w.history.faulty && c.w.chance(50) {
		at = at.Add(c.w.soon(20 * time.Second))
	}
	if at.Before(*before) {
		at = *before
	}
	*before = at
	return at.Sub(c.w.now)
}

func (c *conn) toMain(m wire.Message) {
	m = overTheWire(c.w, m)
	c.w.after(c.arrive(&c.up), func() {
		main := c.w.main
		if c.dead || main.conns[c.session] != c {
			return
		}
		body, err := mainnode.Decode(&m)
		if err != nil || body == nil {
			c.w.fail("the main node cannot read %s: %v", m.Type, err)
		}
		m.Data = nil
		main.give(&mainnode.Input{Session: c.session, Fingerprint: c.key, Message: m, Body: body})
	})
}

func (c *conn) toPeer(m wire.Message) {
	m = overTheWire(c.w, m)
	c.w.after(c.arrive(&c.dn), func() {
		if !c.dead {
			c.peer(m)
		}
	})
}

// cut ends the connection: what is under way is lost. The peer notices at once, or only when it has heard nothing for long.
func (c *conn) cut(atOnce bool) {
	if c.dead {
		return
	}
	c.dead = true
	notice := c.w.soon(90 * time.Second)
	if atOnce {
		notice = c.w.soon(100 * time.Millisecond)
	}
	c.w.after(notice, c.lost)
	session := c.session
	// The main node hears of it in the end, or never: then the next hello or the end of the lease tells.
	if !c.w.chance(3) {
		life := c.w.main.life
		c.w.after(c.w.soon(10*time.Minute), func() {
			if m := c.w.main; m.up && m.life == life && m.conns[session] == c {
				delete(m.conns, session)
				m.give(&mainnode.Input{Session: session})
			}
		})
	}
}

// overTheWire makes of a message what the other side reads.
func overTheWire(w *world, m wire.Message) wire.Message {
	if m.Body != nil {
		data, err := json.Marshal(m.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		m.Data, m.Body = data, nil
	}
	return m
}
