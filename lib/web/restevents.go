package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type eventList struct {
	Events []json.RawMessage `json:"events"`
	Count  int               `json:"count"`          // of these
	Next   int64             `json:"next,omitempty"` // to ask for after: there are more, or there will be
	More   bool              `json:"more"`           // there are more now
}

// shownEvent has the fields of an event as it is shown.
type shownEvent struct {
	cluster.Event
	Level cluster.Level `json:"level"`
	Text  string        `json:"text"`
}

const (
	manyPerPage = 100 // events
	mostPerPage = 1000
)

// listEvents lists events in their order, after a number; without one the newest.
func (s *Server) listEvents(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	f := wire.FollowEvents{Filter: q.manyEvents()}
	limit, after, fields := q.number("limit", manyPerPage, 1, mostPerPage), q.afterEvent(), fieldsOf[shownEvent](q)
	since := q.since()
	if err := q.check(); err != nil {
		return nil, err
	}
	l, err := get(s.asker(ctx), func(c *client.Client) (_ *eventList, err error) {
		if f.Filter.Since, err = since.Time(ctx, c); err != nil {
			return nil, err
		}
		switch {
		case after >= 0:
			f.After = after
		case f.Filter.Since == nil:
			f.Last = limit
		}
		return readEvents(ctx, c, f, limit)
	})
	return pick(l, "events", fields), err
}

func readEvents(ctx context.Context, c *client.Client, f wire.FollowEvents, limit int) (*eventList, error) {
	l := &eventList{Events: []json.RawMessage{}, Next: f.After}
	for e, err := range c.Events(ctx, f) {
		if err != nil {
			return nil, err
		}
		if l.More = len(l.Events) == limit; l.More {
			break
		}
		l.Events, l.Next = append(l.Events, eventData(&e.Event)), e.Seq
	}
	l.Count = len(l.Events)
	return l, nil
}

// manyEvents is what events can be filtered by where they are listed.
func (q *query) manyEvents() (f wire.EventFilter) {
	f = q.events()
	for _, text := range q.list("task") {
		id, err := task.ParseID(text)
		if err != nil {
			q.fail(invalid("task=%v", err))
		}
		f.Tasks = append(f.Tasks, id)
	}
	for _, text := range q.list("job") {
		id, err := task.ParseJobID(text)
		if err != nil {
			q.fail(invalid("job=%v", err))
		}
		f.Jobs = append(f.Jobs, id)
	}
	for _, text := range q.list("event") {
		kind := cluster.Kind(text)
		if !slices.Contains(cluster.Kinds(), kind) {
			q.fail(invalid("unknown event %.40q", text))
		}
		f.Kinds = append(f.Kinds, kind)
	}
	return f
}

// The tokens, for administrators.

type tokenList struct {
	Tokens []wire.TokenInfo `json:"tokens"`
	Count  int              `json:"count"`
}

// listTokens asks as the visitor: rc-web's own token may see more.
func (s *Server) listTokens(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[wire.TokenInfo](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	who := visitorOf(r.Context())
	switch {
	case who == nil:
		return nil, errNobody
	case fromElsewhere(r):
		return nil, refused(http.StatusForbidden, "E_ORIGIN", "a page of another site may not do this")
	}
	l, err := get(who, func(c *client.Client) (*tokenList, error) {
		tokens, err := c.Tokens(ctx)
		return &tokenList{append([]wire.TokenInfo{}, tokens...), len(tokens)}, err
	})
	return pick(l, "tokens", fields), err
}

// tokenMade and invited are secrets that are seen only here.
type (
	tokenMade struct{ wire.TokenMade }
	invited   struct{ wire.Invited }
)

func (s *Server) makeToken(ctx context.Context, r *http.Request) (any, error) {
	var body wire.MakeToken
	who, err := s.change(r, func(b []byte) error { return decodeStrict(b, &body) })
	if err != nil {
		return nil, err
	}
	var made tokenMade
	return &made, who.once(func(c *client.Client) (err error) {
		made.TokenMade, err = c.MakeToken(ctx, body)
		return err
	})
}

func (s *Server) makeInvite(ctx context.Context, r *http.Request) (any, error) {
	var body wire.Invite
	who, err := s.change(r, func(b []byte) error {
		if len(b) == 0 {
			return nil
		}
		return decodeStrict(b, &body)
	})
	if err != nil {
		return nil, err
	}
	var made invited
	return &made, who.once(func(c *client.Client) (err error) {
		made.Invited, err = c.Invite(ctx, body)
		return err
	})
}

// revoked names a token that is good no more.
type revoked struct {
	ID string `json:"id"`
}

func (s *Server) revokeToken(ctx context.Context, r *http.Request) (any, error) {
	who, err := s.change(r, noBody)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	return &revoked{id}, who.once(func(c *client.Client) error { return c.RevokeToken(ctx, id) })
}
