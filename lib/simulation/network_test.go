package simulation

import (
	"encoding/json"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// conn is a connection to the main node. Messages of one direction arrive in order, or not at all.
type conn struct {
	w         *world
	session   int64
	key       string // the peer's certificate
	device    string // as which it was welcomed
	peer      func(wire.Message)
	lost      func() // the peer notices that it is gone
	gone      bool   // the peer has left it, or cannot hear on it any more
	deaf      bool   // nothing that is sent on it arrives any more
	up, dn    time.Time
	heldUp    time.Time                       // until then nothing arrives at the main node
	heldDown  time.Time                       // until then nothing arrives at the peer
	swallow   func(*wire.Message) bool        // says which messages to the peer its process drops
	turnsDown func(*wire.Message) *wire.Error // says which messages the main node refuses
}

func (m *mainNode) connect(key string, peer func(wire.Message), lost func()) *conn {
	m.last++
	c := &conn{w: m.w, session: m.last, key: key, peer: peer, lost: lost}
	m.conns[c.session] = c
	return c
}

// arrive gives the time until a message arrives that is sent now, behind the one before it.
func (c *conn) arrive(before *time.Time, held time.Time) time.Duration {
	at := c.w.now.Add(time.Millisecond + c.w.soon(20*time.Millisecond))
	if c.w.faulty && c.w.chance(50) {
		at = at.Add(c.w.soon(20 * time.Second))
	}
	for _, least := range []time.Time{held, *before} {
		if at.Before(least) {
			at = least
		}
	}
	*before = at
	return at.Sub(c.w.now)
}

func (c *conn) toMain(m wire.Message) {
	m = overTheWire(c.w, m)
	c.w.after(c.arrive(&c.up, c.heldUp), func() {
		main := c.w.main
		if c.deaf || main.conns[c.session] != c {
			return
		}
		if c.turnsDown != nil {
			if e := c.turnsDown(&m); e != nil {
				c.toPeer(wire.Message{Type: wire.TypeError, ReplyTo: m.ID, Body: e})
				return
			}
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
	said := c.w.since()
	c.w.after(c.arrive(&c.dn, c.heldDown), func() {
		if c.gone || c.swallow != nil && c.swallow(&m) {
			return
		}
		m.Timestamp = said.String() // which nobody reads but the onlooker
		c.peer(m)
	})
}

// end ends the connection from the main node's side, whose death the peer's system tells the peer.
func (c *conn) end() {
	c.deaf = true
	c.cut(100 * time.Millisecond)
}

// finish ends the connection from the main node's side behind what was said last.
func (c *conn) finish() {
	c.deaf = true
	c.w.after(max(0, c.dn.Sub(c.w.now)), c.end)
}

// cut ends the connection for the peer, who notices it in a while. What is under way to the main node may still arrive there; that the
// connection is over the main node hears in the end, or never: then the next hello or the end of the lease tells.
func (c *conn) cut(notice time.Duration) {
	if c.gone {
		return
	}
	c.gone = true
	c.deaf = c.deaf || !c.w.calm && !c.w.chance(2)
	c.w.after(c.w.soon(notice), c.lost)
	if !c.w.calm && !c.w.chance(3) {
		c.w.after(c.w.soon(10*time.Minute), c.tellMain)
	}
}

// tellMain lets the main node hear that the connection is over.
func (c *conn) tellMain() {
	if m := c.w.main; m.up && m.conns[c.session] == c {
		delete(m.conns, c.session)
		m.give(&mainnode.Input{Session: c.session})
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
