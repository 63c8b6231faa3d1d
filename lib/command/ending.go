package command

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// ending is how a task ended.
type ending struct {
	id      task.ID
	state   task.State
	attempt int
	output  int64        // bytes that it printed
	pieces  []wire.Piece // all of it, or nothing
}

// maxHeld is how many bytes of output wait for the tasks before them; what is more is asked for once more when it is due.
const maxHeld = 64 << 20

// held is what waits, with --ordered, for the tasks before it.
type held struct {
	endings map[int]*ending // by position in the submission
	next    int             // position of the task to print next
	bytes   int64
}

// take notes that a task is over and prints what it printed, if it is its turn.
func (w *waiter) take(ctx context.Context, e *ending) error {
	i, mine := w.index[e.id]
	if !mine {
		return nil
	}
	delete(w.index, e.id)
	delete(w.running, e.id)
	if e.state != task.Completed {
		w.failed = append(w.failed, e.id)
	}
	if !w.ordered {
		return w.show(ctx, i, e)
	}
	w.held.add(i, e)
	for e := w.held.due(); e != nil; e = w.held.due() {
		if err := w.show(ctx, w.held.next-1, e); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) add(i int, e *ending) {
	if h.bytes+e.output > maxHeld {
		e.pieces = nil
	}
	if e.pieces != nil {
		h.bytes += e.output
	}
	if h.endings == nil {
		h.endings = map[int]*ending{}
	}
	h.endings[i] = e
}

// due gives the ending that is to be printed next, nil if it has not come yet.
func (h *held) due() *ending {
	e := h.endings[h.next]
	if e == nil {
		return nil
	}
	delete(h.endings, h.next)
	h.next++
	if e.pieces != nil {
		h.bytes -= e.output
	}
	return e
}

// show prints the output of task i.
func (w *waiter) show(ctx context.Context, i int, e *ending) error {
	if e.output == 0 {
		return nil
	}
	w.progress.clear(true)
	for chunk, err := range w.output(ctx, e) {
		if err == nil {
			err = w.print.chunk(&chunk)
		}
		if err != nil {
			return err
		}
	}
	err := w.print.end(w.specs[i].Type)
	w.progress.clear(w.print.midLine)
	return err
}

// output is what the task printed: it came along, or is asked for.
func (w *waiter) output(ctx context.Context, e *ending) iter.Seq2[task.Chunk, error] {
	return func(yield func(task.Chunk, error) bool) {
		for i := range e.pieces {
			if c, err := e.pieces[i].Chunk(); !yield(c, err) || err != nil {
				return
			}
		}
		if len(e.pieces) > 0 {
			return
		}
		f := wire.FollowOutput{Task: e.id.String(), Attempt: e.attempt, Follow: true}
		for p, err := range w.c.Output(ctx, f) {
			if !yield(p.Chunk, err) {
				return
			}
		}
	}
}

// list asks for tasks, for as long as the main node is away.
func (w *waiter) list(ctx context.Context, ids []task.ID) (tasks []task.Task, err error) {
	err = untilThere(ctx, func() error {
		tasks = tasks[:0]
		for t, err := range w.c.Tasks(ctx, wire.ListTasks{Filter: wire.TaskFilter{Tasks: ids}}) {
			if err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		return nil
	})
	return tasks, err
}

// untilThere asks again and again while the main node is away.
func untilThere(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		_, away := errors.AsType[*client.UnreachableError](err)
		if !away && !errors.Is(err, wire.ErrShutdown) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
