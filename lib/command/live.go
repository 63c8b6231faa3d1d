package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Exit statuses of --wait beside the task's own, as those of timeout(1) and env(1).
const (
	exitTimedOut = 124
	exitNotRun   = 125
)

// live prints what the only task prints, while it does, and ends as it did.
func (w *waiter) live(ctx context.Context) error {
	id := w.submitted.Tasks[0].String()
	attempt := 0
	waitsNoMore := w.tellWhy(ctx, id)
	defer waitsNoMore()
	for p, err := range w.c.Output(ctx, wire.FollowOutput{Task: id, Follow: true, Progress: w.progress.watched()}) {
		if err != nil {
			return err
		}
		waitsNoMore()
		if p.Progress != "" {
			if !w.print.midLine {
				w.progress.say("%s", p.Progress)
			}
			continue
		}
		w.progress.clear(false)
		if attempt != 0 && p.Attempt != attempt {
			if err := w.print.note("rc-submit: %s: attempt %d begins anew", id, p.Attempt); err != nil {
				return err
			}
		}
		attempt = p.Attempt
		if err := w.print.chunk(&p.Chunk); err != nil {
			return err
		}
	}
	waitsNoMore()
	w.progress.clear(false)
	if err := w.print.end(w.specs[0].Type); err != nil {
		return err
	}
	var t task.Task
	err := untilThere(ctx, func() (err error) {
		t, err = w.c.Task(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	return ended(&t)
}

const tellWhyEvery = time.Second

// tellWhy tells a person why a task waits, while it does.
func (w *waiter) tellWhy(ctx context.Context, id string) (stop func()) {
	if !w.progress.watched() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		told := false
		for {
			select {
			case <-time.After(tellWhyEvery):
			case <-ctx.Done():
				return
			}
			switch t, err := w.c.Task(ctx, id); {
			case err != nil: // the main node is away, and so is its word
			case t.State == task.Queued && t.Waiting != "":
				w.progress.say("%s waits: %s", id, t.Waiting)
				told = true
			case told:
				w.progress.clear(false)
				told = false
			}
		}
	})
	return sync.OnceFunc(func() { cancel(); telling.Wait() })
}

// ended makes of the task's end that of the command. What the task says by its exit code needs no words.
func ended(t *task.Task) error {
	status, reason := exitStatus(t), t.Reason
	if status == cli.OK {
		return nil
	}
	if t.State == task.Failed && t.ExitCode != nil && (reason == "" || reason == fmt.Sprintf("exit status %d", *t.ExitCode)) {
		return cli.Exit(status, nil)
	}
	did := map[task.State]string{task.Cancelled: "cancelled", task.TimedOut: "timed out"}[t.State]
	if did == "" {
		did = "failed"
	}
	if reason != "" && !strings.HasPrefix(reason, did) {
		did += ": " + reason
	} else if reason != "" {
		did = reason
	}
	return cli.Exit(status, fmt.Errorf("%s: %s", t.ID, did))
}

func exitStatus(t *task.Task) int {
	switch {
	case t.State == task.Completed:
		return cli.OK
	case t.State == task.TimedOut:
		return exitTimedOut
	case t.State != task.Failed || t.ExitCode == nil || *t.ExitCode == 0:
		return exitNotRun
	case *t.ExitCode < 0 || *t.ExitCode > 255: // of another system
		return 255
	}
	return *t.ExitCode
}

// verdict is the end of several tasks.
func (w *waiter) verdict() error {
	if len(w.failed) == 0 {
		return nil
	}
	const most = 10
	var names []string
	for i, id := range w.failed {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, id.String())
	}
	return fmt.Errorf("%d of %s failed: %s", len(w.failed), count(len(w.specs), "task"), strings.Join(names, ", "))
}
