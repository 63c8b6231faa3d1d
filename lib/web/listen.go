package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// NotLoopbackError says that an address to listen on can be reached from other machines.
type NotLoopbackError struct{ Address string }

func (e *NotLoopbackError) Error() string {
	return fmt.Sprintf("listen on %s: only loopback addresses for now, such as 127.0.0.1:5000: there is no TLS and no login yet", e.Address)
}

// Hint says what to do instead.
func (e *NotLoopbackError) Hint() string {
	return "reach it through ssh -L 5000:127.0.0.1:5000, or put a reverse proxy with TLS and a login in front of it"
}

// Listen listens on a loopback address. The error may be a *NotLoopbackError.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, &NotLoopbackError{address}
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", tcp.String())
}

// limitListener accepts no more than so many connections at a time; the others wait.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, most int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{c, sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close may be called again: http.Server does.
func (l *limitListener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// limitConn gives its slot back when it closes, or earlier: as soon as it is a stream, it is counted as one.
type limitConn struct {
	net.Conn
	release func()
}

func (c *limitConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// releaseConn gives the slot of the request's connection back.
func releaseConn(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*limitConn); ok {
		c.release()
	}
}

// unusedConns are the connections on which nothing was asked yet, as browsers keep them ready: nobody need wait for their end.
type unusedConns struct{ conns sync.Map }

func (u *unusedConns) note(c net.Conn, state http.ConnState) {
	if u.conns.Delete(c); state == http.StateNew {
		u.conns.Store(c, nil)
	}
}

func (u *unusedConns) close() {
	u.conns.Range(func(c, _ any) bool {
		c.(net.Conn).Close()
		return true
	})
}
