package client

import (
	"context"
	"errors"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// stream is a request that is answered by many messages.
type stream struct {
	kind    string
	body    any                               // each and end keep in it where to go on
	item    string                            // type of the many messages
	each    func(*wire.Message) error         // takes one of them; errEnough ends the stream
	end     func(*wire.Message) (bool, error) // takes the ack; false: there is more to come
	forever bool                              // tries again without end
}

// run reads a stream to its end, over as many connections as it takes. What is not followed gets one more try. A main node
// that was never there is an error also for who follows: more likely its address is wrong than that it comes soon.
func (c *Client) run(ctx context.Context, s *stream) error {
	var pause backoff
	for tries := 1; ; tries++ {
		done, err := c.runOnce(ctx, s, &pause)
		switch {
		case errors.Is(err, errEnough), done && err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errAgain):
			continue
		case err == nil:
			err = wire.NewError(wire.ErrShutdown) // an end that came too early
		case !passing(err), !c.hasMet(), !s.forever && tries > 1:
			return err
		}
		if err := c.wait(ctx, &pause, err); err != nil {
			return err
		}
	}
}

// runOnce reads a stream over one connection. Only one that came to its end well is used again.
func (c *Client) runOnce(ctx context.Context, s *stream, pause *backoff) (done bool, err error) {
	k, err := c.borrow(ctx)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { k.Close() })
	done, err = k.stream(s, pause)
	if !stop() || err != nil {
		k.Close()
		c.dropIdle(err)
		return done, err
	}
	c.giveBack(k)
	return done, nil
}

// stream asks and reads until the ack.
func (k *conn) stream(s *stream, pause *backoff) (done bool, err error) {
	id := k.nextID()
	if err := k.write(s.kind, id, s.body); err != nil {
		return false, err
	}
	for {
		m, err := k.ReadMessage()
		if err != nil {
			return false, met(k.main, err)
		}
		pause.reset()
		if m.Type != s.item {
			return s.end(&m)
		}
		if err := s.each(&m); err != nil {
			return false, err
		}
	}
}

// maxIdle is how many connections wait for the next stream.
const maxIdle = 16

// borrow gives a connection for one stream.
func (c *Client) borrow(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	if n := len(c.idle); n > 0 {
		k := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return k, nil
	}
	c.mu.Unlock()
	return c.connect(ctx)
}

func (c *Client) giveBack(k *conn) {
	k.SetDeadline(time.Time{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= maxIdle {
		k.Close()
		return
	}
	c.idle = append(c.idle, k)
}

// dropIdle hangs up where one broken connection says that the others are broken too.
func (c *Client) dropIdle(err error) {
	if !isUnreachable(err) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.idle {
		k.Close()
	}
	c.idle = nil
}
