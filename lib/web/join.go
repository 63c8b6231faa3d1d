package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// invitation is the page on which devices are asked to join.
type invitation struct {
	May   bool
	Role  string // of the visitor who may not; empty: they are not logged in
	Lasts []lasting
	Code  string // that was made
	Until string
	Uses  int
	Path  string // of its QR code
	Size  int
}

type lasting struct {
	Seconds int64
	Name    string
}

// lasts is how long a code may be good; the first is the usual.
var lasts = []lasting{{86400, "1 day"}, {3600, "1 hour"}, {7 * 86400, "7 days"}, {600, "10 minutes"}}

const mostUses = 100 // of a code that is made on a page

func (s *Server) joinView(v *viewer) error {
	if err := v.q.check(); err != nil {
		return err
	}
	v.Title, v.Body = "Join", &invitation{May: v.may(wire.RoleAdmin), Role: string(v.role), Lasts: lasts, Uses: 1}
	return nil
}

// invite makes a join code, and shows it: once, as it is a secret.
func (s *Server) invite(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(r)
	if err != nil {
		return err
	}
	ask, err := f.invitation()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	var made wire.Invited
	frame := &frame{Name: "join", Path: "/join", Title: "Join"}
	err = f.who.once(func(c *client.Client) error {
		status, err := c.Status(ctx)
		if err != nil {
			return err
		}
		frame.Node = nodeOf(&status)
		made, err = c.Invite(ctx, ask)
		return err
	})
	if err != nil {
		return err
	}
	b := &invitation{May: true, Lasts: lasts, Code: made.Code, Until: made.Expires.UTC().Format("2006-01-02 15:04") + " UTC", Uses: ask.Uses}
	if b.Path, b.Size, err = text.QRPath(made.Code); err != nil {
		return err
	}
	frame.Body = b
	return s.show(w, r, http.StatusOK, frame)
}

// invitation reads what the form asks for.
func (f *filled) invitation() (wire.Invite, error) {
	ask := wire.Invite{Uses: 1, Expires: int64((24 * time.Hour).Seconds())}
	if given := f.values.Get("uses"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > mostUses {
			return ask, invalid("uses %.20q: a number between 1 and %d", given, mostUses)
		}
		ask.Uses = n
	}
	if given := f.values.Get("expires"); given != "" {
		n, err := strconv.ParseInt(given, 10, 64)
		if err != nil || n < 60 || n > 30*86400 {
			return ask, invalid("expires %.20q: seconds, between a minute and 30 days", given)
		}
		ask.Expires = n
	}
	return ask, nil
}

// help is the page of what there is. It is there without the main node too.
func (s *Server) help(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	f := &frame{Name: "help", Path: "/help", Title: "Help"}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	if status, err := get(s.asker(ctx), func(c *client.Client) (*node, error) {
		status, err := c.Status(ctx)
		return nodeOf(&status), err
	}); err == nil {
		f.Node = status
	}
	return s.show(w, r, http.StatusOK, f)
}
