package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	shortestWait = 100 * time.Millisecond
	longestWait  = 5 * time.Second
)

// backoff is how long to wait before the next try: longer each time, and never as long as others do, so that a main
// node that comes back is not asked by all at once (full jitter).
type backoff struct{ bound time.Duration }

func (b *backoff) next() time.Duration {
	b.bound = min(max(2*b.bound, shortestWait), longestWait)
	return rand.N(b.bound) + 1
}

// reset is for when it worked.
func (b *backoff) reset() { b.bound = 0 }

// wait waits before another try of what met err.
func (c *Client) wait(ctx context.Context, b *backoff, err error) error {
	if c.options.Retrying != nil {
		c.options.Retrying(err)
	}
	d := b.next()
	if e, ok := errors.AsType[*wire.Error](err); ok {
		d = max(d, min(e.Wait(), time.Minute))
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
