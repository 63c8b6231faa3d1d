package command

import (
	"context"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// waiter waits for submitted tasks and prints what each printed when it is over.
type waiter struct {
	c         *client.Client
	submitted *client.Submitted
	specs     []task.Spec
	ordered   bool
	print     *printing
	progress  *progress

	jobs    []task.JobID
	index   map[task.ID]int  // position in the submission of a task that is not over
	running map[task.ID]bool // of these
	failed  []task.ID
	held    held // with ordered
}

func newWaiter(c *client.Client, std cli.Std, specs []task.Spec, s *client.Submitted, ordered, raw bool) *waiter {
	w := &waiter{
		c: c, submitted: s, specs: specs, ordered: ordered, print: newPrinting(std, raw), progress: newProgress(std, raw),
		jobs: []task.JobID{s.Job}, index: make(map[task.ID]int, len(specs)), running: map[task.ID]bool{},
	}
	for i, id := range s.Tasks {
		w.index[id] = i
	}
	return w
}

// run waits for all. The error has the exit status.
func (w *waiter) run(ctx context.Context) error {
	if len(w.submitted.Tasks) == 1 {
		return w.live(ctx)
	}
	defer w.progress.clear(false)
	if w.submitted.Duplicates > 0 {
		if err := w.catchUp(ctx); err != nil {
			return err
		}
	}
	if err := w.follow(ctx); err != nil {
		return err
	}
	return w.verdict()
}

// catchUp takes the tasks that were over before, as those of a key that was used before may be.
func (w *waiter) catchUp(ctx context.Context) error {
	for ids := range slices.Chunk(w.submitted.Tasks, 1000) {
		tasks, err := w.list(ctx, ids)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if !slices.Contains(w.jobs, t.Job) {
				w.jobs = append(w.jobs, t.Job)
			}
			if !t.State.Ended() {
				continue
			}
			e := ending{id: t.ID, state: t.State, attempt: t.Attempt, output: t.Output}
			if err := w.take(ctx, &e); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow takes the tasks as they end, however long that takes and however often the main node is away meanwhile.
func (w *waiter) follow(ctx context.Context) error {
	f := wire.FollowEvents{After: w.submitted.Event, Follow: true, Output: true}
	f.Filter.Jobs = w.jobs
	f.Filter.Kinds = []cluster.Kind{cluster.TaskEnded}
	if w.progress.watched() {
		f.Filter.Kinds = append(f.Filter.Kinds, cluster.TaskStarted, cluster.TaskRequeued)
	}
	w.report()
	if len(w.index) == 0 {
		return nil
	}
	for e, err := range w.c.Events(ctx, f) {
		if err != nil {
			return err
		}
		if err := w.heard(ctx, &e); err != nil {
			return err
		}
		w.report()
		if len(w.index) == 0 {
			break
		}
	}
	return nil
}

// heard takes an event.
func (w *waiter) heard(ctx context.Context, e *client.Event) error {
	if _, mine := w.index[e.Task]; !mine {
		return nil
	}
	switch e.Kind {
	case cluster.TaskStarted:
		w.running[e.Task] = true
	case cluster.TaskRequeued:
		delete(w.running, e.Task)
	case cluster.TaskEnded:
		return w.take(ctx, &ending{e.Task, e.State, e.Attempt, e.Output, e.Pieces})
	}
	return nil
}

func (w *waiter) report() {
	all := len(w.specs)
	w.progress.set(all-len(w.index), all, len(w.failed), len(w.running))
}
