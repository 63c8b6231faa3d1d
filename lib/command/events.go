package command

import (
	"bufio"
	"context"
	"io"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// printEvents prints the cluster's log.
func (l *Logs) printEvents(ctx context.Context, std cli.Std, env cli.Env, c *client.Client) error {
	f, err := l.wanted(ctx, c)
	if err != nil {
		return err
	}
	out, flush := io.Writer(std.Out), func() error { return nil }
	if !l.Follow {
		b := bufio.NewWriter(std.Out)
		out, flush = b, b.Flush
	}
	p := l.printer(out, std, env)
	for e, err := range c.Events(ctx, f) {
		if err == nil {
			err = p.Events([]cluster.Event{e.Event})
		}
		if err != nil {
			flush()
			return err
		}
	}
	if err := p.Flush(); err != nil {
		return err
	}
	return flush()
}

// wanted is what to ask for. That many lines of the log may be fewer lines of those that the filter lets through.
func (l *Logs) wanted(ctx context.Context, c *client.Client) (f wire.FollowEvents, err error) {
	f = wire.FollowEvents{Follow: l.Follow, Filter: wire.EventFilter{Device: l.Device, Level: l.Level}}
	if f.Filter.Since, err = l.Since.Time(ctx, c); err != nil || l.Last == nil {
		return f, err
	}
	if f.Last = *l.Last; f.Last == 0 { // only what will come
		status, err := c.Status(ctx)
		f.After = status.LastEvent
		return f, err
	}
	return f, nil
}
