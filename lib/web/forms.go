package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// maxForm is how many bytes a page's form may have.
const maxForm = 4 << 10

// filled is a form that somebody has sent.
type filled struct {
	r      *http.Request
	who    *visitor
	values url.Values
}

// form does what a page's form asks for, with the rights of whoever sent it, and leads to the page that shows what came of it.
func (s *Server) form(act func(context.Context, *filled) (to string, err error)) http.Handler {
	return s.plain(func(w http.ResponseWriter, r *http.Request) error {
		f, err := readForm(r)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerTime)
		defer cancel()
		to, err := act(ctx, f)
		if err != nil {
			return err
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	})
}

func readForm(r *http.Request) (*filled, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	f := &filled{r: r, who: visitorOf(r.Context())}
	if f.who == nil {
		return nil, errNobody
	}
	b, err := readBody(r, maxForm)
	if err != nil {
		return nil, err
	}
	if len(b) > 0 && mediaOf(r) != "application/x-www-form-urlencoded" {
		return nil, refused(http.StatusUnsupportedMediaType, "E_TYPE", "this takes the form of a page; programs have /api/v1")
	}
	if f.values, err = url.ParseQuery(string(b)); err != nil {
		return nil, invalid("the form cannot be read")
	}
	return f, nil
}

// deviceForm does something with the device of the path, and leads back to it.
func (f *filled) deviceForm(ctx context.Context, do func(*client.Client, string) error) (to string, err error) {
	id := f.r.PathValue("id")
	err = f.who.once(func(c *client.Client) error { return do(c, id) })
	return "/devices/" + url.PathEscape(id), err
}

func (s *Server) drainForm(ctx context.Context, f *filled) (string, error) {
	return f.deviceForm(ctx, func(c *client.Client, id string) error { return c.Drain(ctx, id, 0) })
}

func (s *Server) undrainForm(ctx context.Context, f *filled) (string, error) {
	return f.deviceForm(ctx, func(c *client.Client, id string) error { return c.Undrain(ctx, id) })
}

func (s *Server) approveForm(ctx context.Context, f *filled) (string, error) {
	return f.deviceForm(ctx, func(c *client.Client, id string) error { return c.Approve(ctx, id) })
}

// removeForm wants the name typed: what is removed comes back with a new join code only.
func (s *Server) removeForm(ctx context.Context, f *filled) (string, error) {
	if id, typed := f.r.PathValue("id"), f.values.Get("name"); typed != id {
		return "", invalid("to remove %.70q type exactly this name, not %.70q", id, typed)
	}
	_, err := f.deviceForm(ctx, func(c *client.Client, id string) error { return c.Remove(ctx, id) })
	return "/devices", err
}

func (s *Server) cancelForm(ctx context.Context, f *filled) (string, error) {
	return f.taskForm(ctx, isOver, (*client.Client).Cancel)
}

func (s *Server) retryForm(ctx context.Context, f *filled) (string, error) {
	return f.taskForm(ctx, notFailed, (*client.Client).Retry)
}

// taskForm does something with the task of the path, and leads back to it.
func (f *filled) taskForm(ctx context.Context, reason string, do func(*client.Client, context.Context, wire.Select) (int, error)) (to string, err error) {
	id := f.r.PathValue("id")
	_, err = actOn(ctx, f.who, id, reason, do)
	return "/tasks/" + url.PathEscape(id), err
}
