package mainnode

import (
	"context"
	"errors"
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
	core   *Core
	in     chan *Input
	events *eventLog
	lately *lately
	wakes  *wakes
	bell   *bell
	act    func([]Effect) // says what was decided
	beat   func()         // tells the watchdog that the loop is alive

	ballast *store.Ballast
}

// background is the context of what is not to be given up half way when the process is asked to end.
func (l *loop) background() context.Context { return context.WithoutCancel(l.core.ctx) }

// run runs until ctx is done, then commits what still waits. An error means that the disk did not take a commit: the process must
// end, and the next start reads what the disk really holds.
func (l *loop) run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	prune := time.NewTimer(pruneEvery)
	defer prune.Stop()
	var round []*Input
	for {
		round = round[:0]
		select {
		case in := <-l.in:
			round = l.gather(append(round, in))
		case <-ticker.C:
			l.beat()
			if err := l.watchDisk(time.Now()); err != nil {
				return err
			}
		case <-prune.C:
			next, err := l.prune()
			if err != nil {
				return err
			}
			prune.Reset(next)
			continue
		case <-ctx.Done():
			return l.last(l.gather(round), time.Now())
		}
		if err := l.round(round, time.Now()); err != nil {
			return err
		}
	}
}

// gather takes what else waits.
func (l *loop) gather(round []*Input) []*Input {
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
func (l *loop) round(inputs []*Input, now time.Time) error {
	r := l.core.Decide(now, inputs)
	if l.core.broken != nil {
		return l.core.broken
	}
	writes := !r.Batch.Empty()
	switch err := l.commit(r); {
	case errors.Is(err, errNotCommitted):
		return l.giveUp(inputs, now)
	case err != nil:
		return err
	}
	if writes {
		l.core.counts.inputsOfRounds.add(float64(len(inputs)))
	}
	l.core.counts.requests += int64(len(inputs))
	for _, in := range inputs {
		if in.done != nil {
			close(in.done)
		}
	}
	return nil
}

// last is the round with which the main node ends: it takes what waits, and assigns nothing any more.
func (l *loop) last(inputs []*Input, now time.Time) error {
	c := l.core
	c.begin(now)
	c.tell()
	for _, in := range inputs {
		c.step(in)
	}
	c.event(cluster.Event{Kind: cluster.MainStopping})
	c.sumUp(true)
	c.audit(entry{Who: whoMain, What: "stop", Result: "ok"})
	err := l.commit(c.decided())
	if errors.Is(err, errNotCommitted) {
		return l.giveUp(inputs, now)
	}
	return err
}

// commit writes what was decided, and only then does it.
func (l *loop) commit(r Round) error {
	c := l.core
	if !r.Batch.Empty() {
		start := time.Now()
		if err := l.commitOrLetGo(r.Batch); err != nil {
			return fmt.Errorf("the disk did not take what was decided, and nobody was told of it: %w", err)
		}
		c.counts.batches++
		took := time.Since(start)
		c.counts.commits += took
		c.counts.commitTimes.add(took.Seconds())
	}
	// Events are readable before the answers leave, so that who follows from an answer's number misses none.
	l.lately.add(r.printed)
	l.events.add(r.Events, c.lastEvent)
	l.act(r.Effects)
	l.wakes.wake(r.Touched)
	if r.Batch.Audits() {
		l.bell.ring()
	}
	l.log(r.Events)
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

// When to prune again: soon where more is to go than was removed, but never so often that others wait for it.
const (
	pruneEvery = 10 * time.Second
	pruneSoon  = 100 * time.Millisecond
)

// prune removes what is not to be kept any longer, a little at a time, and says when to do so again.
func (l *loop) prune() (next time.Duration, err error) {
	c := l.core
	began := time.Now()
	if err := c.db.Checkpoint(l.background()); err != nil {
		return 0, err
	}
	p, err := c.db.Prune(l.background(), c.set.Keep, time.Now(), c.counts.keptEnded(), c.counts.output-c.openOutput())
	l.forget(p) // which is committed, whatever came after it
	switch {
	case errors.Is(err, store.ErrFull): // the next commit will find that, too
		return pruneEvery, nil
	case err != nil || !p.More:
		return pruneEvery, err
	}
	return max(pruneSoon, 9*time.Since(began)), nil // nine tenths of the time is for others
}

func (l *loop) forget(p store.Pruned) {
	for s, n := range p.Ended {
		l.core.counts.state(s, -n)
	}
	l.core.counts.output -= p.OutputBytes
}

// ask has the core looked at by f between two inputs; what f sees is committed when ask returns.
func (l *loop) ask(ctx context.Context, f func(*Core)) error {
	done := make(chan struct{})
	in := Ask(f)
	in.done = done
	select {
	case l.in <- in:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return in.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
