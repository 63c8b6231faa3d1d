package command

import (
	"bytes"
	"context"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// clock puts before each line when it was printed: the main node's time at which the attempt began, and how long after that
// by the device's clock.
type clock struct {
	c       *client.Client
	task    *task.Task
	attempt int
	start   time.Time
	within  [3]bool // by stream: the last piece ended within a line
}

func newClock(c *client.Client, t *task.Task) *clock {
	return &clock{c: c, task: t}
}

// stamp is the piece with times in it.
func (k *clock) stamp(ctx context.Context, p *client.Piece) []byte {
	if p.Attempt != k.attempt {
		k.attempt, k.start, k.within = p.Attempt, k.begin(ctx, p.Attempt), [3]bool{}
	}
	when := k.start.Add(p.After).UTC().Format("2006-01-02T15:04:05.000Z ")
	var b bytes.Buffer
	for line := range bytes.Lines(p.Data) {
		if !k.within[p.Stream] {
			b.WriteString(when)
		}
		b.Write(line)
		k.within[p.Stream] = line[len(line)-1] != '\n'
	}
	return b.Bytes()
}

// begin is when an attempt began. One that is newer than what is known of the task is asked for.
func (k *clock) begin(ctx context.Context, attempt int) time.Time {
	if at, ok := beginning(k.task, attempt); ok {
		return at
	}
	t, err := k.c.Task(ctx, k.task.ID.String())
	if err != nil {
		return k.task.Submitted // better the line than its time
	}
	k.task = &t
	at, _ := beginning(&t, attempt)
	return at
}

func beginning(t *task.Task, attempt int) (time.Time, bool) {
	for _, a := range t.Attempts {
		if a.Number == attempt && a.Started != nil {
			return *a.Started, true
		}
	}
	return t.Submitted, false
}
