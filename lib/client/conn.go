package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	dialTime  = 10 * time.Second // for connection, TLS and hello
	writeTime = 30 * time.Second
)

// alive finds out within a minute that the other side vanished without a word.
var alive = net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 10 * time.Second, Count: 4}

// conn is a connection with the main node after welcome. It either serves requests, with a goroutine that hands each
// answer to who waits for it, or carries one stream at a time, read by its caller.
type conn struct {
	*wire.Conn
	main string
	role wire.Role     // that the main node knows it by
	done chan struct{} // closed when the goroutine has ended; nil without one

	mu      sync.Mutex
	last    int                          // number of the last request
	waiting map[string]chan wire.Message // by message_id
	err     error                        // why nothing can be asked any more
}

// dial connects, checks the pin and says hello.
func dial(ctx context.Context, o *Options) (*conn, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	k, err := open(ctx, o)
	if err != nil && parent.Err() != nil {
		return nil, parent.Err()
	}
	return k, err
}

func open(ctx context.Context, o *Options) (*conn, error) {
	raw, err := connect(ctx, o)
	if err != nil {
		return nil, met(o.Main, err)
	}
	k := &conn{Conn: wire.NewConn(raw), main: o.Main, waiting: map[string]chan wire.Message{}}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	err = k.hello(o)
	if !stop() && err == nil {
		err = met(o.Main, os.ErrDeadlineExceeded)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	k.SetLimit(wire.MaxMessage)
	return k, nil
}

// connect connects by the network, with TLS, or by a socket of this host.
func connect(ctx context.Context, o *Options) (net.Conn, error) {
	if path, local := o.socket(); local {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	d := tls.Dialer{NetDialer: &net.Dialer{KeepAliveConfig: alive}, Config: wire.ClientTLS(nil, o.Pin)}
	return d.DialContext(ctx, "tcp", o.Main)
}

func (k *conn) hello(o *Options) error {
	id := k.nextID()
	hello := &wire.Hello{Protocol: wire.Spoken, Software: o.Software, Token: o.Token}
	if err := k.write(wire.TypeHello, id, hello); err != nil {
		return err
	}
	m, err := k.ReadMessage()
	if err != nil {
		return met(k.main, err)
	}
	var welcome wire.Welcome
	err = reply(&m, wire.TypeWelcome, &welcome)
	k.role = welcome.Role
	return err
}

func (k *conn) nextID() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	return strconv.Itoa(k.last)
}

func (k *conn) write(kind, id string, body any) error {
	k.SetWriteDeadline(time.Now().Add(writeTime))
	if err := k.WriteMessages(wire.Message{Type: kind, Sender: "client", Target: "main", ID: id, Body: body}); err != nil {
		return met(k.main, err)
	}
	return nil
}

// reply reads an answer: the data of an ack, or the error.
func reply(m *wire.Message, want string, answer any) error {
	switch {
	case m.Type == wire.TypeError:
		e := &wire.Error{Code: "E_INTERNAL"}
		if err := m.Decode(e); err != nil {
			return wire.NewError(err)
		}
		return e
	case m.Type != want:
		return wire.NewError(fmt.Errorf("%w: %.40q instead of %s", wire.ErrUnknownType, m.Type, want))
	case answer == nil:
		return nil
	}
	if err := m.Decode(answer); err != nil {
		return wire.NewError(err)
	}
	return nil
}

// serve starts the goroutine that reads the answers; hangUp waits for its end.
func (k *conn) serve() {
	k.done = make(chan struct{})
	go func() {
		defer close(k.done)
		k.end(k.dispatch())
	}()
}

// dispatch hands answers out. A channel has room for its one answer, so that it never waits.
func (k *conn) dispatch() error {
	for {
		m, err := k.ReadMessage()
		if err != nil {
			return met(k.main, err)
		}
		if m.ReplyTo == "" && m.Type == wire.TypeError {
			return reply(&m, wire.TypeAck, nil) // about the connection as a whole
		}
		k.mu.Lock()
		answer := k.waiting[m.ReplyTo]
		delete(k.waiting, m.ReplyTo)
		k.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// end tells all who wait that no answer will come.
func (k *conn) end(err error) {
	k.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	for _, answer := range k.waiting {
		close(answer)
	}
	clear(k.waiting)
}

func (k *conn) broken() bool { return k.why() != nil }

func (k *conn) why() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

func (k *conn) hangUp() {
	k.Close()
	if k.done != nil {
		<-k.done
	}
}

// expect makes the channel on which the answer to a new request will come.
func (k *conn) expect() (id string, answer chan wire.Message, err error) {
	id = k.nextID()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return "", nil, k.err
	}
	answer = make(chan wire.Message, 1)
	k.waiting[id] = answer
	return id, answer, nil
}

func (k *conn) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.waiting, id)
}

// request asks and waits for the answer.
func (k *conn) request(ctx context.Context, kind string, body, answer any) error {
	id, came, err := k.expect()
	if err != nil {
		return err
	}
	defer k.forget(id)
	if err := k.write(kind, id, body); err != nil {
		k.hangUp() // nobody is given this connection any more
		return err
	}
	late := time.NewTimer(answerTime)
	defer late.Stop()
	select {
	case m, ok := <-came:
		if !ok {
			return k.why()
		}
		return reply(&m, wire.TypeAck, answer)
	case <-late.C:
		k.hangUp() // what else could be asked here?
		return met(k.main, os.ErrDeadlineExceeded)
	case <-ctx.Done():
		return ctx.Err()
	}
}
