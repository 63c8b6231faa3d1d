package web

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	manyTasks = 100 // on a page of the list, where nobody says how many
	mostTasks = 1000
)

type taskList struct {
	Tasks []task.Task `json:"tasks"`
	Count int         `json:"count"`         // of these
	Next  task.ID     `json:"next,omitzero"` // to ask for after
}

func (s *Server) listTasks(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	filter, limit, after, newest, fields := q.tasks(), q.number("limit", manyTasks, 1, mostTasks), q.after(), q.newest(), fieldsOf[task.Task](q)
	since := q.since()
	if err := q.check(); err != nil {
		return nil, err
	}
	l, err := get(s.asker(ctx), func(c *client.Client) (_ *taskList, err error) {
		if filter.Since, err = since.Time(ctx, c); err != nil {
			return nil, err
		}
		return pageOf(c.Tasks(ctx, wire.ListTasks{Filter: filter, After: after, Limit: limit + 1, Newest: newest}), limit)
	})
	return pick(l, "tasks", fields), err
}

// pageOf takes a page; one task more than fits says that there is another.
func pageOf(all iter.Seq2[task.Task, error], limit int) (*taskList, error) {
	l := &taskList{Tasks: []task.Task{}}
	for t, err := range all {
		if err != nil {
			return nil, err
		}
		if len(l.Tasks) == limit {
			l.Next = l.Tasks[limit-1].ID
			break
		}
		l.Tasks = append(l.Tasks, t)
	}
	l.Count = len(l.Tasks)
	return l, nil
}

func (q *query) after() (id task.ID) {
	if text := q.one("after"); text != "" {
		var err error
		if id, err = task.ParseID(text); err != nil {
			q.fail(invalid("after=%v", err))
		}
	}
	return id
}

func (q *query) newest() bool {
	switch text := q.one("newest"); text {
	case "", "false":
		return false
	case "true":
		return true
	default:
		q.fail(invalid("newest=%.40q: true or false", text))
		return false
	}
}

func (s *Server) showTask(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[task.Task](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	t, err := s.task(ctx, r.PathValue("id"))
	return pick(t, "", fields), err
}

// taskStatus is where a task stands, without what it is.
type taskStatus struct {
	ID        task.ID    `json:"task_id"`
	State     task.State `json:"state"`
	Ended     bool       `json:"ended"`
	Reason    string     `json:"reason,omitempty"`
	Waiting   string     `json:"waiting,omitempty"`
	Progress  string     `json:"progress,omitempty"`
	Device    string     `json:"device,omitempty"`
	Attempt   int        `json:"attempt"`
	ExitCode  *int       `json:"exit_code,omitempty"`
	Submitted time.Time  `json:"submitted"`
	Started   *time.Time `json:"started,omitempty"`
	Finished  *time.Time `json:"finished,omitempty"`
	Output    int64      `json:"output_bytes"`
}

func (s *Server) showTaskStatus(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[taskStatus](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	t, err := s.task(ctx, r.PathValue("id"))
	return pick(&taskStatus{t.ID, t.State, t.State.Ended(), t.Reason, t.Waiting, t.Progress, t.Device, t.Attempt, t.ExitCode, t.Submitted, t.Started, t.Finished, t.Output},
		"", fields), err
}

// rawOutput answers with what a task has printed by now, byte for byte.
func (s *Server) rawOutput(w http.ResponseWriter, r *http.Request) error {
	return s.printOutput(w, r, false)
}

// textOutput is the same as a command prints it: a value ends with a newline.
func (s *Server) textOutput(w http.ResponseWriter, r *http.Request) error {
	return s.printOutput(w, r, true)
}

func (s *Server) printOutput(w http.ResponseWriter, r *http.Request, asCommand bool) error {
	q := newQuery(r)
	attempt, only := q.number("attempt", 0, 1, 1<<30), q.streamOf()
	if err := q.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	t, err := s.task(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	if attempt > t.Attempt {
		return refused(http.StatusNotFound, "E_NOT_FOUND", "task %v has no attempt %d: the newest is %d", t.ID, attempt, t.Attempt)
	}
	out := newOutput(w, r, &shape{format: "text"}, "")
	defer out.end()
	p := &outputPrinter{out: out, only: only}
	f := wire.FollowOutput{Task: t.ID.String(), Attempt: attempt}
	err = s.asker(out.ctx).do(func(c *client.Client) error { return p.print(c, f) })
	if err == nil && asCommand && task.IsValue(t.Type) && p.last != 0 && p.last != '\n' {
		err = out.raw("\n")
	}
	if err == nil {
		err = out.begin() // of nothing too
	}
	if err != nil && out.begun {
		panic(http.ErrAbortHandler)
	}
	return err
}

// outputPrinter writes what a task printed.
type outputPrinter struct {
	out  *output
	only task.Stream // 0: both
	last byte        // on stdout
	seen mark
}

// print goes on behind what was written, where it is asked a second time.
func (p *outputPrinter) print(c *client.Client, f wire.FollowOutput) error {
	if p.seen.attempt != 0 {
		f.Attempt, f.Position = p.seen.attempt, p.seen.position
	}
	for piece, err := range c.Output(p.out.ctx, f) {
		if err != nil {
			return err
		}
		p.seen = endOf(&piece)
		if p.only != 0 && p.only != piece.Stream || len(piece.Data) == 0 {
			continue
		}
		if piece.Stream == task.Stdout {
			p.last = piece.Data[len(piece.Data)-1]
		}
		if _, err := p.out.Write(piece.Data); err != nil {
			return err
		}
	}
	return nil
}
