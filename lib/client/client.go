package client

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Options say which main node to use, and as who.
type Options struct {
	Main     string // host:port, without a port 8080; or unix: and the file of a socket of this host, which needs neither pin nor token
	Pin      string // the main node's fingerprint
	Token    string // secret
	Software string // what connects, for the main node's log: "rc-submit 0.1.0"
	Data     string // for Find: the main node's data directory on this host; empty: where it usually is

	// Retrying, if set, is called before each wait for another try after the main node could not be reached.
	// It is called by the goroutine that waits.
	Retrying func(error)
}

const defaultPort = "8080"

// answerTime is how long the main node may take to answer: much longer than the slowest disk takes for a commit, since
// what follows is to believe that the connection is dead.
const answerTime = 60 * time.Second

// Client speaks with one main node. It connects when it has something to say, and again after the connection broke.
type Client struct {
	options Options
	turn    chan struct{} // holds one value: the right to connect

	mu     sync.Mutex
	shared *conn   // of all requests; nil before the first
	idle   []*conn // of streams that came to their end
	closed bool
	met    bool // a connection has succeeded once
}

// errClosed is what requests meet after Close.
var errClosed = errors.New("the client is closed")

// New makes a Client that connects when it is first used. The error is about the options: wire.ErrField, wire.ErrAuth.
func New(o Options) (*Client, error) {
	if o.Main == "" {
		return nil, wire.NewError(wire.Errorf(wire.ErrField, "address of the main node: missing"))
	}
	if _, local := o.socket(); local {
		return newClient(o), nil
	}
	o.Main = withPort(o.Main)
	o.Pin = strings.ToLower(strings.TrimSpace(o.Pin))
	if err := wire.CheckFingerprint(o.Pin); err != nil {
		return nil, wire.NewError(err)
	}
	o.Token = strings.TrimSpace(o.Token)
	if _, err := wire.ParseToken(o.Token); err != nil {
		return nil, wire.NewError(err)
	}
	return newClient(o), nil
}

func newClient(o Options) *Client {
	c := &Client{options: o, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// socket is the file of the socket that Main names, if it does.
func (o *Options) socket() (path string, local bool) { return strings.CutPrefix(o.Main, socketPrefix) }

const socketPrefix = "unix:"

// Dial makes a Client and connects it.
func Dial(ctx context.Context, o Options) (*Client, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.connection(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), defaultPort)
}

// Main is the address of the main node.
func (c *Client) Main() string { return c.options.Main }

// Close hangs up. Requests under way and iterators over what is not followed end with an error.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	open := c.idle
	if c.shared != nil {
		open = append(open, c.shared)
	}
	c.idle, c.shared = nil, nil
	c.mu.Unlock()
	for _, k := range open {
		k.hangUp()
	}
	return nil
}

// connection gives the shared connection; fresh says that it was made just now.
func (c *Client) connection(ctx context.Context) (k *conn, fresh bool, err error) {
	select {
	case <-c.turn: // one connects, the others wait for that
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	if k, err := c.current(); k != nil || err != nil {
		return k, false, err
	}
	k, err = c.connect(ctx)
	if err != nil {
		return nil, false, err
	}
	k.serve()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		go k.hangUp()
		return nil, false, errClosed
	}
	c.shared = k
	return k, true, nil
}

// current is the shared connection if it works.
func (c *Client) current() (*conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errClosed
	case c.shared == nil || c.shared.broken():
		return nil, nil
	}
	return c.shared, nil
}

// connect makes a connection and says hello.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	k, err := dial(ctx, &c.options)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.met = true
	c.mu.Unlock()
	return k, nil
}

// hasMet says whether the main node has ever been there.
func (c *Client) hasMet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.met
}

// once is a request that may have been carried out though its answer was lost: it is not sent a second time.
func (c *Client) once(ctx context.Context, kind string, body, answer any) error {
	k, _, err := c.connection(ctx)
	if err != nil {
		return err
	}
	return k.request(ctx, kind, body, answer)
}

// ask is a request that may be sent twice. It is, where the connection turns out to have been broken meanwhile.
func (c *Client) ask(ctx context.Context, kind string, body, answer any) error {
	k, fresh, err := c.connection(ctx)
	if err != nil {
		return err
	}
	err = k.request(ctx, kind, body, answer)
	if fresh || !isUnreachable(err) {
		return err
	}
	return c.once(ctx, kind, body, answer)
}
