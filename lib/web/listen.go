package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// limitListener accepts no more than so many connections at a time; the others wait. Those of an address that has its share are closed.
type limitListener struct {
	net.Listener
	from   *crowd
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, most int, from *crowd) *limitListener {
	return &limitListener{Listener: l, from: from, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		leave, ok := l.from.enter(peerOf(c.RemoteAddr().String()))
		if !ok {
			c.Close()
			continue
		}
		return &limitConn{c, sync.OnceFunc(func() {
			leave()
			<-l.slots
		})}, nil
	}
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
	c := ctx.Value(connKey{})
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	if c, ok := c.(*limitConn); ok {
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
