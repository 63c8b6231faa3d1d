package mainnode

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
)

// maxBatch bounds how many inputs one round takes, so that no answer waits for a very long commit.
const maxBatch = 2048

// loop runs the core: it takes all that waits, lets the core decide, commits once, then acts. While it commits, the next round
// gathers: that is all the group commit there is.
type loop struct {
	core   *core
	in     chan *input
	events *eventLog
	wakes  *wakes
	act    func([]effect) // says what was decided
	beat   func()         // tells the watchdog that the loop is alive
}

// run runs until ctx is done, then commits what still waits. An error means that the disk did not take a commit: the process must
// end, and the next start reads what the disk really holds.
func (l *loop) run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	var round []*input
	for {
		round = round[:0]
		select {
		case in := <-l.in:
			round = l.gather(append(round, in))
		case <-ticker.C:
			l.beat()
		case <-prune.C:
			if err := l.prune(); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return l.round(l.gather(round), time.Now(), true)
		}
		if err := l.round(round, time.Now(), false); err != nil {
			return err
		}
	}
}

// gather takes what else waits.
func (l *loop) gather(round []*input) []*input {
	for len(round) < maxBatch {
		select {
		case in := <-l.in:
			round = append(round, in)
		default:
			return round
		}
	}
	return round
}

// round is one turn: decide, commit, act.
func (l *loop) round(inputs []*input, now time.Time, last bool) error {
	c := l.core
	c.begin(now)
	for _, in := range inputs {
		c.step(in)
	}
	if last {
		c.event(cluster.Event{Kind: cluster.MainStopping})
	} else {
		c.end()
	}
	if err := l.commit(); err != nil {
		return err
	}
	c.counts.requests += int64(len(inputs))
	// Events are readable before the answers leave, so that who follows from an answer's number misses none.
	l.events.add(c.events, c.lastEvent)
	l.act(c.effects)
	l.log(c.events)
	l.wakes.wake(c.touched)
	for _, in := range inputs {
		if in.done != nil {
			close(in.done)
		}
	}
	return nil
}

func (l *loop) commit() error {
	c := l.core
	if c.batch.Empty() {
		return nil
	}
	start := time.Now()
	// The commit is not to be given up half way when the process is asked to end.
	if err := c.batch.Commit(context.WithoutCancel(c.ctx)); err != nil {
		return fmt.Errorf("the disk did not take what was decided, and nobody was told of it: %w", err)
	}
	c.counts.batches++
	c.counts.commits += time.Since(start)
	return nil
}

// log tells the daemon's log what happened: what concerns single tasks only to those who look closely, since there are many.
func (l *loop) log(events []cluster.Event) {
	c := l.core
	for i := range events {
		e := &events[i]
		level := slog.LevelDebug
		if e.Task == 0 {
			level = map[cluster.Level]slog.Level{cluster.Warning: slog.LevelWarn, cluster.Error: slog.LevelError}[e.Level()]
		}
		if c.log.Enabled(c.ctx, level) {
			c.log.LogAttrs(c.ctx, level, string(e.Kind), eventAttrs(e)...)
		}
	}
}

func eventAttrs(e *cluster.Event) []slog.Attr {
	attrs := []slog.Attr{slog.Int64("event", e.Seq)}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("device", e.Device)
	if e.Job != 0 {
		text("job", e.Job.String())
	}
	if e.Task != 0 {
		text("task", e.Task.String())
		attrs = append(attrs, slog.Int("attempt", e.Attempt))
	}
	if e.State != 0 {
		text("state", e.State.String())
	}
	if e.ExitCode != nil {
		attrs = append(attrs, slog.Int("exit_code", *e.ExitCode))
	}
	if e.Count > 0 {
		attrs = append(attrs, slog.Int("count", e.Count))
	}
	text("reason", e.Reason)
	return attrs
}

const pruneEvery = 10 * time.Second

// prune removes what is not to be kept any longer, a little at a time.
func (l *loop) prune() error {
	c := l.core
	for range 4 {
		p, err := c.db.Prune(context.WithoutCancel(c.ctx), c.set.Keep, time.Now(), c.counts.keptEnded(), c.counts.output)
		if err != nil {
			return err
		}
		l.forget(p)
		if !p.More || len(l.in) > 0 {
			return nil
		}
	}
	return nil
}

func (l *loop) forget(p store.Pruned) {
	for s, n := range p.Ended {
		l.core.counts.state(s, -n)
	}
	l.core.counts.output -= p.OutputBytes
}

// ask has the core looked at by f between two inputs; what f sees is committed when ask returns.
func (l *loop) ask(ctx context.Context, f func(*core)) error {
	done := make(chan struct{})
	in := &input{query: f, done: done}
	select {
	case l.in <- in:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
