package command

import (
	"context"
	"errors"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Outputs are asked for ahead of their turn, so that many small ones do not each cost the time of an answer.
const (
	ahead       = 16 // outputs at a time
	piecesAhead = 64 // pieces of at most 16 KiB of each
)

// fetch is the output of a task on its way: first its task, then its pieces.
type fetch struct {
	id     string
	task   task.Task
	known  chan struct{} // closed when task is there
	pieces chan client.Piece
	err    error // when pieces is closed: how it ended
}

// printOutputs prints the outputs of tasks one after another. That there is no such task is said, and the others are printed.
func (l *Logs) printOutputs(ctx context.Context, std cli.Std, c *client.Client, ids []string) error {
	ctx, cancel := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer cancel()
	queue := make(chan *fetch, l.ahead())
	fetching.Go(func() { l.fetchAll(ctx, c, ids, queue, &fetching) })
	p := newPrinting(std, l.Raw)
	missing := false
	for f := range queue {
		err := l.printOutput(ctx, c, p, f)
		if unknown(err) {
			say(std.Err, "rc-logs: %v", err)
			missing = true
		} else if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if missing {
		return cli.Exit(cli.Failed, nil)
	}
	return nil
}

func unknown(err error) bool {
	return errors.Is(err, task.ErrNotFound) || errors.Is(err, task.ErrAmbiguous)
}

// ahead is how many outputs to ask for ahead; of those that one follows only the one that is being printed.
func (l *Logs) ahead() int {
	if l.Follow {
		return 0
	}
	return ahead
}

// fetchAll begins to fetch the outputs in their order; the room in the queue bounds how many at a time.
func (l *Logs) fetchAll(ctx context.Context, c *client.Client, ids []string, queue chan<- *fetch, fetching *sync.WaitGroup) {
	defer close(queue)
	for _, id := range ids {
		f := &fetch{id: id, known: make(chan struct{}), pieces: make(chan client.Piece, piecesAhead)}
		select {
		case queue <- f:
			fetching.Go(func() { l.fetch(ctx, c, f) })
		case <-ctx.Done():
			return
		}
	}
}

// fetch asks for a task and its output. Unless told otherwise it waits for the task's end, so that what is printed is whole, and of the
// attempt that counted.
func (l *Logs) fetch(ctx context.Context, c *client.Client, f *fetch) {
	defer close(f.pieces)
	f.task, f.err = c.Task(ctx, f.id)
	if f.err == nil && !l.Follow && !l.NoWait && l.Attempt == 0 && !f.task.State.Ended() {
		f.err = untilEnded(ctx, c, f.task.ID)
	}
	close(f.known)
	if f.err != nil {
		return
	}
	follow := wire.FollowOutput{Task: f.task.ID.String(), Attempt: l.Attempt, Follow: l.Follow, Progress: l.Follow && l.progress.watched()}
	for piece, err := range c.Output(ctx, follow) {
		if err != nil {
			f.err = err
			return
		}
		select {
		case f.pieces <- piece:
		case <-ctx.Done():
			f.err = ctx.Err()
			return
		}
	}
}

// untilEnded waits for a task's end; what it prints until then is asked for again.
func untilEnded(ctx context.Context, c *client.Client, id task.ID) error {
	for _, err := range c.Output(ctx, wire.FollowOutput{Task: id.String(), Follow: true}) {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// printOutput prints one output as it comes.
func (l *Logs) printOutput(ctx context.Context, c *client.Client, p *printing, f *fetch) error {
	<-f.known
	if t := &f.task; l.Attempt > t.Attempt && t.State.Ended() {
		return wire.Errorf(task.ErrNotFound, "task %s has no attempt %d, its last is %d", t.ID, l.Attempt, t.Attempt)
	}
	var clock *clock
	if l.Timestamps {
		clock = newClock(c, &f.task)
	}
	for piece := range f.pieces {
		if piece.Progress != "" {
			if !p.midLine {
				l.progress.say("%s", piece.Progress)
			}
			continue
		}
		l.progress.clear(false)
		chunk := piece.Chunk
		if clock != nil {
			chunk.Data = clock.stamp(ctx, &piece)
		}
		if err := p.chunk(&chunk); err != nil {
			return err
		}
	}
	l.progress.clear(false)
	if f.err != nil {
		return f.err
	}
	return p.end(f.task.Type)
}
