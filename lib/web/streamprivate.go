package web

import (
	"context"
	"errors"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// privateReader is who reads a stream of events with a token of their own. The main node is asked for each of them alone: it knows which events a token may see.
type privateReader struct {
	*telling
	who *visitor
}

// follow writes until the reader is gone, or may not read any more.
func (p *privateReader) follow() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		err := p.read(tick.C)
		if p.ctx.Err() != nil || errors.Is(err, errGone) || errors.Is(p.who.ping(p.ctx), errUsedUp) {
			return
		}
		if p.tellAway(err) != nil {
			return
		}
		select {
		case <-time.After(lookEvery):
		case <-p.beside.changed():
			err = p.beside.tell(p.stream)
		case <-tick.C:
			err = p.alive()
		case <-p.ctx.Done():
			return
		}
		if err != nil && p.ctx.Err() != nil {
			return
		}
	}
}

// read writes events until the connection with the main node breaks.
func (p *privateReader) read(tick <-chan time.Time) error {
	ctx, stop := context.WithCancelCause(p.ctx)
	defer stop(nil)
	c, err := p.who.alone(func(err error) { stop(err) })
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	p.seen.After = min(p.seen.After, status.LastEvent) // a number that does not exist yet is from another life of the main node
	events, ended := make(chan client.Event), make(chan error, 1)
	go func() { ended <- follow(ctx, c, *p.seen, events) }()
	for {
		err := p.beside.tell(p.stream)
		if err == nil {
			select {
			case e := <-events:
				err = p.tellEvent(&e)
			case <-p.beside.changed():
			case <-tick:
				err = p.alive()
			case err := <-ended:
				if broke := context.Cause(ctx); broke != nil {
					return broke
				}
				return err
			}
		}
		if err != nil {
			stop(errGone)
			<-ended
			return errGone
		}
	}
}

// follow hands events on until ctx ends.
func follow(ctx context.Context, c *client.Client, f wire.FollowEvents, to chan<- client.Event) error {
	for e, err := range c.Events(ctx, f) {
		if err != nil {
			return err
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
