package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// submission is the body of POST /api/v1/tasks, where it is not one task alone.
type submission struct {
	Tasks []task.Spec `json:"tasks"`
	Key   string      `json:"key,omitempty"` // the same key with the same tasks submits them once, however often it is sent
}

type submitted struct {
	Job        task.JobID `json:"job_id"`
	Tasks      []task.ID  `json:"task_ids"`
	Duplicates int        `json:"duplicates"`
	Key        string     `json:"key"`
}

func (s *Server) submit(ctx context.Context, r *http.Request) (any, error) {
	return s.submitAs(ctx, r, readSubmission)
}

// submitBatch takes a list of tasks too.
func (s *Server) submitBatch(ctx context.Context, r *http.Request) (any, error) {
	return s.submitAs(ctx, r, readBatch)
}

func (s *Server) submitAs(ctx context.Context, r *http.Request, read func([]byte) (submission, error)) (any, error) {
	var body submission
	who, err := s.change(r, func(b []byte) (err error) {
		body, err = read(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	var taken client.Submitted
	err = who.once(func(c *client.Client) (err error) {
		taken, err = c.Submit(ctx, body.Tasks, client.SubmitOptions{Key: body.Key})
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refused(http.StatusGatewayTimeout, "E_TIMEOUT",
			"no answer in time, so these tasks may or may not be submitted; to be sure submit them again as {\"tasks\":[…],\"key\":%q}", body.Key)
	}
	if err != nil {
		return nil, err
	}
	return &submitted{taken.Job, taken.Tasks, taken.Duplicates, taken.Key}, nil
}

// readSubmission reads one task, or several.
func readSubmission(b []byte) (body submission, err error) {
	fields, err := objectFields(b)
	if err != nil {
		return body, err
	}
	if _, several := fields["tasks"]; several {
		err = decodeStrict(b, &body)
	} else {
		body.Tasks = make([]task.Spec, 1)
		err = decodeStrict(b, &body.Tasks[0])
	}
	if err != nil {
		return body, err
	}
	return body, body.check()
}

// readBatch reads a list of tasks, or what readSubmission reads.
func readBatch(b []byte) (body submission, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return readSubmission(b)
	}
	if err := decodeStrict(b, &body.Tasks); err != nil {
		return body, err
	}
	return body, body.check()
}

// check says what is wrong with a submission, and gives it a key if it has none.
func (body *submission) check() error {
	if len(body.Tasks) == 0 {
		return invalid("tasks: empty")
	}
	if body.Key == "" {
		body.Key = strings.ToLower(rand.Text())
	}
	for i := range body.Tasks {
		if err := body.Tasks[i].Validate(); err != nil {
			return fmt.Errorf("task %d: %w", i+1, err)
		}
	}
	return nil
}

// Why nothing was done with a task.
const (
	isOver    = "is over"
	notFailed = "has not failed, timed out or been cancelled"
)

type acted struct {
	Task task.ID `json:"task_id"`
}

func (s *Server) cancel(ctx context.Context, r *http.Request) (any, error) {
	return s.act(ctx, r, isOver, (*client.Client).Cancel)
}

func (s *Server) retry(ctx context.Context, r *http.Request) (any, error) {
	return s.act(ctx, r, notFailed, (*client.Client).Retry)
}

// act does something with the task of the path.
func (s *Server) act(ctx context.Context, r *http.Request, reason string, do func(*client.Client, context.Context, wire.Select) (int, error)) (any, error) {
	who, err := s.change(r, noBody)
	if err != nil {
		return nil, err
	}
	id, err := actOn(ctx, who, r.PathValue("id"), reason, do)
	if err != nil {
		return nil, err
	}
	return &acted{id}, nil
}

// actOn does something with a task. That it did nothing is an error, for a reason.
func actOn(ctx context.Context, who *visitor, id, reason string, do func(*client.Client, context.Context, wire.Select) (int, error)) (task.ID, error) {
	var t task.Task
	err := who.once(func(c *client.Client) (err error) {
		if t, err = c.Task(ctx, id); err != nil {
			return err
		}
		n, err := do(c, ctx, wire.Select{Tasks: []string{t.ID.String()}})
		if err == nil && n == 0 {
			err = wire.Errorf(task.ErrMove, "task %v %s", t.ID, reason)
		}
		return err
	})
	return t.ID, err
}

// noBody accepts nothing, or an object without fields.
func noBody(b []byte) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	return decodeStrict(b, &struct{}{})
}

// change reads what a request for a change brings: who asks for it, with whose rights it is done and never with rc-web's own, and the body.
func (s *Server) change(r *http.Request, read func([]byte) error) (*visitor, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	who := visitorOf(r.Context())
	if who == nil {
		return nil, errNobody
	}
	b, err := readBody(r, maxBody)
	if err != nil {
		return nil, err
	}
	if len(b) > 0 && mediaOf(r) != "application/json" {
		return nil, errNotJSON
	}
	return who, read(b)
}

var errNotJSON = refused(http.StatusUnsupportedMediaType, "E_TYPE", "the body has to be JSON, with Content-Type: application/json")

// readBody reads a body up to a size; none at all is allowed.
func readBody(r *http.Request, most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refused(http.StatusRequestEntityTooLarge, "E_TOO_LARGE", "the body is larger than %d bytes", most)
	}
	if err != nil {
		return nil, invalid("the body cannot be read")
	}
	return b, nil
}

// mediaOf is the type of a request's body.
func mediaOf(r *http.Request) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media
}
