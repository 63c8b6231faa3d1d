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
	*stream
	who  *visitor
	seen *wire.FollowEvents // After is the last event that was written
	away bool               // it was told that nothing is read
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
		if !p.away {
			p.away = true
			if p.event(p.seen.After, "away", awayData(err)) != nil {
				return
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-tick.C:
			if p.alive() != nil {
				return
			}
		case <-p.ctx.Done():
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
		select {
		case e := <-events:
			err = p.event(e.Seq, "", eventData(&e.Event))
			p.seen.After, p.away = e.Seq, false
		case <-tick:
			err = p.alive()
		case err := <-ended:
			if broke := context.Cause(ctx); broke != nil {
				return broke
			}
			return err
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
