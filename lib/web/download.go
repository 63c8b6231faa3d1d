package web

import (
	"context"
	"mime"
	"net/http"
	"path"
	"strconv"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// download sends a file that a task has brought back, as a file to be kept: whatever is in it, a browser shows none of it as a page of this host.
func (s *Server) download(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	name, attempt := q.one("name"), q.number("attempt", 0, 1, 1<<30)
	if name == "" {
		q.fail(invalid("name: say which file"))
	}
	if err := q.check(); err != nil {
		return err
	}
	f, err := s.broughtBack(r, name, attempt)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(f.Name)}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	out := newOutput(w, r, nil, "")
	defer out.end()
	to := &fileOutput{out: out, size: f.Size}
	if r.Method == http.MethodHead {
		to.sent = f.Size // whether it is there still is the main node's to say
	}
	err = s.asker(out.ctx).do(func(c *client.Client) error { return c.FetchFile(out.ctx, f, to.sent, to, nil) })
	if err == nil && !to.begun {
		_, err = to.Write(nil)
	}
	if err != nil && to.begun {
		panic(http.ErrAbortHandler) // so that it does not look like the end
	}
	if err != nil {
		h.Del("Content-Disposition")
	}
	return err
}

// broughtBack finds a file of a task by its name; attempt 0 is the newest that has brought any back.
func (s *Server) broughtBack(r *http.Request, name string, attempt int) (*task.File, error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	t, err := get(s.asker(ctx), func(c *client.Client) (task.Task, error) { return c.TaskFiles(ctx, r.PathValue("id"), attempt) })
	if err != nil {
		return nil, err
	}
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		a := &t.Attempts[i]
		for j := range a.Files {
			if a.Files[j].Name == name && (attempt == 0 || a.Number == attempt) {
				return &a.Files[j], nil
			}
		}
	}
	return nil, refused(http.StatusNotFound, "E_NOT_FOUND", "task %v has not brought back a file %.100q", t.ID, name)
}

// fileOutput writes a file of a known size, also in two parts where the main node turned out to be elsewhere in between.
type fileOutput struct {
	out   *output
	size  int64
	sent  int64
	begun bool
}

func (f *fileOutput) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.out.Header().Set("Content-Length", strconv.FormatInt(f.size, 10))
	}
	if err := f.out.raw(string(b)); err != nil {
		return 0, err
	}
	f.sent += int64(len(b))
	return len(b), nil
}
