package client

import (
	"context"
	"iter"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Piece is a piece of what an attempt of a task printed.
type Piece struct {
	Attempt  int
	Progress string // with Progress asked for, instead of a chunk: how far it has come
	task.Chunk
}

// Output is what a task has printed; with Follow also what it will print, until the task is over. When the connection
// breaks it connects again and goes on where it was. Where a task is run again the pieces begin anew, with a higher
// Attempt, unless f names an attempt. An error ends it. Errors: task.ErrNotFound, task.ErrAmbiguous, task.ErrBadID.
func (c *Client) Output(ctx context.Context, f wire.FollowOutput) iter.Seq2[Piece, error] {
	return c.OutputSince(ctx, f, f.Attempt)
}

// OutputSince is Output for who has seen an attempt up to f.Position before: where the newest one is another by now, it begins with that. 0: none.
func (c *Client) OutputSince(ctx context.Context, f wire.FollowOutput, seen int) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		o := &outputs{f: f, attempt: seen, yield: yield}
		o.over = func() bool { return c.superseded(ctx, &f) }
		s := &stream{wire.TypeFollowOutput, &o.f, wire.TypeOutput, o.each, o.end, f.Follow}
		if err := c.run(ctx, s); err != nil {
			yield(Piece{}, err)
		}
	}
}

// outputs is where a reader of output stands. Who follows the newest attempt goes on asking for that, with the position
// within the last one that was seen; that it is another one by now shows in what comes.
type outputs struct {
	f       wire.FollowOutput
	attempt int         // of the last piece
	over    func() bool // nothing more will come of the attempt that f names
	yield   func(Piece, error) bool
}

func (o *outputs) each(m *wire.Message) error {
	var wired wire.OutputPiece
	if err := m.Decode(&wired); err != nil {
		return wire.NewError(err)
	}
	chunk, err := wired.Chunk()
	if err != nil {
		return wire.NewError(err)
	}
	p := Piece{wired.Attempt, wired.Progress, chunk}
	switch {
	case p.Progress != "":
		return enough(!o.yield(p, nil))
	case o.attempt != 0 && p.Attempt != o.attempt && p.Position > 0:
		o.attempt, o.f.Position = p.Attempt, 0
		return errAgain // a new attempt, and not from its beginning
	case p.Attempt == o.attempt && p.End() <= o.f.Position:
		return nil
	}
	o.attempt, o.f.Position = p.Attempt, p.End()
	return enough(!o.yield(p, nil))
}

func (o *outputs) end(m *wire.Message) (done bool, err error) {
	var ack wire.OutputEnd
	if err := reply(m, wire.TypeAck, &ack); err != nil {
		return false, err
	}
	switch {
	case o.attempt != 0 && ack.Attempt > o.attempt: // a new attempt, shorter than the position
		o.attempt, o.f.Position = ack.Attempt, 0
		return false, errAgain
	case !o.f.Follow || ack.Ended:
		return true, nil
	}
	return o.f.Attempt != 0 && o.over(), nil
}

// superseded says whether the attempt that f names is no longer the newest one.
func (c *Client) superseded(ctx context.Context, f *wire.FollowOutput) bool {
	t, err := c.Task(ctx, f.Task)
	return err == nil && t.Attempt > f.Attempt
}
