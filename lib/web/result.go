package web

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// maxOutput is how much of an output stands in one JSON document. rc-logs gives all of it.
const maxOutput = 8 << 20

// result has the shape of the message task_result.
type result struct {
	Task   task.ID    `json:"task_id"`
	Status task.State `json:"status"`
	Reason string     `json:"reason,omitempty"`
	Wall   float64    `json:"execution_time"` // seconds
	Result resultBody `json:"result"`
}

// resultBody has bytes that are not text in the fields of base64, exactly; in the others they are replaced.
type resultBody struct {
	Output      string       `json:"output"`
	ErrorOutput string       `json:"error_output,omitempty"`
	Output64    []byte       `json:"output_base64,omitempty"`
	Error64     []byte       `json:"error_output_base64,omitempty"`
	Truncated   bool         `json:"output_truncated,omitempty"`
	ExitCode    *int         `json:"exit_code"`
	Metrics     task.Metrics `json:"metrics"`
}

func (s *Server) showResult(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	t, err := s.task(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !t.State.Ended() {
		return nil, refused(http.StatusConflict, "E_MOVE", "task %v is %v: it has no result yet", t.ID, t.State)
	}
	res := resultOf(&t)
	if t.Attempt == 0 { // it ended in the queue
		return res, nil
	}
	return get(s.asker(ctx), func(c *client.Client) (*result, error) {
		fresh := *res
		return &fresh, fresh.Result.read(ctx, c, &t)
	})
}

// resultOf is the result without its output.
func resultOf(t *task.Task) *result {
	res := &result{Task: t.ID, Status: t.State, Reason: t.Reason, Result: resultBody{ExitCode: t.ExitCode}}
	for i := range t.Attempts {
		if a := &t.Attempts[i]; a.Number == t.Attempt {
			res.Wall, res.Result.Metrics = a.Wall, a.Metrics
		}
	}
	return res
}

// read reads the output of the newest attempt.
func (b *resultBody) read(ctx context.Context, c *client.Client, t *task.Task) error {
	var out, errs []byte
	for piece, err := range c.Output(ctx, wire.FollowOutput{Task: t.ID.String(), Attempt: t.Attempt}) {
		if err != nil {
			return err
		}
		if piece.Stream == task.Stderr {
			errs = append(errs, piece.Data...)
		} else {
			out = append(out, piece.Data...)
		}
		if len(out)+len(errs) > maxOutput {
			b.Truncated = true
			break
		}
	}
	b.Output, b.Output64 = textOf(out)
	b.ErrorOutput, b.Error64 = textOf(errs)
	return nil
}

// textOf gives the bytes too where they are not text.
func textOf(b []byte) (string, []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), b
}
