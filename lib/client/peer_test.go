package client_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// peer is the other end of the network: a listener that plays a part, one call of play for each connection after welcome.
type peer struct {
	t        *testing.T
	identity *wire.Identity
	listener net.Listener
	play     func(n int, c *wire.Conn)

	mu    sync.Mutex
	conns []net.Conn
	wg    sync.WaitGroup
}

var token = wire.NewToken(wire.RoleAdmin).String()

func newPeer(t *testing.T, play func(n int, c *wire.Conn)) *peer {
	t.Helper()
	identity, err := wire.NewIdentity("main")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, identity: identity, play: play}
	p.listen("127.0.0.1:0")
	t.Cleanup(p.stop)
	return p
}

func (p *peer) listen(address string) {
	l, err := tls.Listen("tcp", address, wire.ServerTLS(func(string) *wire.Identity { return p.identity }))
	if err != nil {
		p.t.Fatal(err)
	}
	p.listener = l
	p.wg.Go(func() {
		for n := 0; ; n++ {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, raw)
			p.mu.Unlock()
			p.wg.Go(func() { p.serve(n, raw) })
		}
	})
}

func (p *peer) serve(n int, raw net.Conn) {
	defer raw.Close()
	c := wire.NewConn(raw)
	m, err := c.ReadMessage()
	if err != nil {
		return
	}
	var hello wire.Hello
	if m.Type != wire.TypeHello || m.Decode(&hello) != nil || hello.Token != token {
		answer(c, m, wire.TypeError, wire.NewError(wire.Errorf(wire.ErrAuth, "the token is wrong")))
		return
	}
	answer(c, m, wire.TypeWelcome, wire.Welcome{Protocol: 1, MainNode: "main", Role: wire.RoleAdmin})
	c.SetLimit(wire.MaxMessage)
	p.play(n, c)
}

// stop ends the listener and its connections, as a main node that is killed.
func (p *peer) stop() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *peer) options() client.Options {
	return client.Options{Main: p.listener.Addr().String(), Pin: p.identity.Fingerprint(), Token: token, Software: "test"}
}

func (p *peer) dial() *client.Client {
	p.t.Helper()
	c, err := client.Dial(context.Background(), p.options())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

func answer(c *wire.Conn, to wire.Message, kind string, body any) {
	c.WriteMessages(wire.Message{Type: kind, ReplyTo: to.ID, Body: body})
}

// each reads requests until the connection ends.
func each(c *wire.Conn, do func(m wire.Message)) {
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return
		}
		do(m)
	}
}

func decode[T any](t *testing.T, m wire.Message) (v T) {
	t.Helper()
	if err := m.Decode(&v); err != nil {
		t.Error(err)
	}
	return v
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
