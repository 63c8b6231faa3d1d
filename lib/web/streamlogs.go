package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// streamLogs sends the newest events and those that will come, or all after the one that the reader has seen last.
func (s *Server) streamLogs(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	want := &wanted{dialect: inLogs, filter: q.events()}
	return s.streamEvents(w, r, q, want, manyEvents)
}

// streamTasks sends the states that tasks move to.
func (s *Server) streamTasks(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	f := q.tasks()
	want := &wanted{dialect: inTasks, states: f.States, filter: wire.EventFilter{Device: f.Device, Kinds: movingKinds()}}
	if !f.Job.IsZero() {
		want.filter.Jobs = []task.JobID{f.Job}
	}
	return s.streamEvents(w, r, q, want, 0)
}

// wanted is what a reader of events asks for.
type wanted struct {
	dialect
	states []task.State
	filter wire.EventFilter
}

// streamEvents sends the events that are wanted, beginning with the newest many, or after the one that the reader has seen last.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, q *query, want *wanted, many int) error {
	f, err := s.begin(r, q, many)
	if err != nil {
		return err
	}
	f.Filter = want.filter
	st, err := s.openStream(w, r)
	if err != nil {
		return err
	}
	defer st.end()
	if r.Method == http.MethodHead || st.event(f.After, "", nil) != nil { // so that who connects again knows where to go on
		return nil
	}
	s.tellEvents(r, &telling{stream: st, seen: &f, interest: interest{want.dialect, wire.NewEventMatch(&f.Filter), want.states}})
	return nil
}

// tellEvents writes until the reader is gone. Who comes with a token of their own is told what that may see.
func (s *Server) tellEvents(r *http.Request, t *telling) {
	if who := visitorOf(r.Context()); who != nil {
		(&privateReader{telling: t, who: who}).follow()
		return
	}
	leave := s.bulletin.follow()
	defer leave()
	(&reader{telling: t, server: s, resets: s.bulletin.after(t.seen.After).resets}).follow()
}

// begin says after which event a reader begins.
func (s *Server) begin(r *http.Request, q *query, many int) (f wire.FollowEvents, err error) {
	many, after := q.number("n", many, 0, mostEvents), q.afterEvent()
	if err := q.check(); err != nil {
		return f, err
	}
	seen, given, err := lastEventID(r)
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	status, err := s.status(ctx)
	if err != nil {
		return f, err
	}
	s.bulletin.look(status.Started)
	switch {
	case given:
	case after >= 0:
		seen = after
	case many > 0:
		if seen, err = s.beforeNewest(ctx, many, status.LastEvent); err != nil {
			return f, err
		}
	default:
		seen = status.LastEvent
	}
	// A number that does not exist yet is from another life of the main node, before a backup was restored.
	return wire.FollowEvents{After: min(seen, status.LastEvent), Follow: true}, nil
}

// beforeNewest is the number before that of the newest many events, of which the last has this number. A restore leaves numbers out.
func (s *Server) beforeNewest(ctx context.Context, many int, last int64) (int64, error) {
	return get(s.asker(ctx), func(c *client.Client) (int64, error) {
		first, err := firstOf(ctx, c, wire.FollowEvents{Last: many})
		if err != nil || first == 0 {
			return last, err
		}
		return first - 1, nil
	})
}

// telling is what a reader of events is told.
type telling struct {
	*stream
	interest
	seen   *wire.FollowEvents // After is the last event that was written, or is not wanted
	away   bool               // it was told that nothing is read
	beside *beside            // what it is told between events; nil: nothing
}

// tellEvent tells of one event, if it is wanted.
func (t *telling) tellEvent(e *client.Event) error {
	if t.wants(&e.Event) {
		if err := t.write(t.frame(&e.Event)); err != nil {
			return err
		}
	}
	t.seen.After, t.away = e.Seq, false
	return nil
}

// tellAway tells once that the main node cannot be asked.
func (t *telling) tellAway(err error) error {
	if t.away {
		return nil
	}
	t.away = true
	return t.event(t.seen.After, "away", awayData(err))
}

// tellGap tells that the events after one, up to another, cannot be told any more.
func (t *telling) tellGap(after, to int64) error {
	b, err := json.Marshal(map[string]int64{"after": after, "to": to})
	if err != nil { // of numbers
		return err
	}
	return t.event(to, "gap", b)
}

// reader is who reads a stream of events that anybody may read.
type reader struct {
	*telling
	server *Server
	resets int // of the bulletin, that it knows of
}

// follow writes until the reader is gone.
func (r *reader) follow() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		n := r.server.bulletin.after(r.seen.After)
		again, err := r.tell(&n)
		if err == nil {
			err = r.beside.tell(r.stream)
		}
		if err != nil {
			return
		}
		if again {
			continue
		}
		select {
		case <-n.changed:
		case <-r.beside.changed():
		case <-tick.C:
			err = r.alive()
		case <-r.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// tell writes what is new; again says that there may be more by now. Of errors in a row one is told.
func (r *reader) tell(n *news) (again bool, err error) {
	if n.resets != r.resets { // what it has seen is of another life of the main node
		r.resets = n.resets
		if r.seen.After > n.newest {
			r.seen.After = n.newest
			return true, r.tellGap(n.newest, n.newest)
		}
		return true, nil
	}
	if n.missing > 0 {
		switch err := r.catchUp(n.missing); {
		case errors.Is(err, errGone):
			return false, err
		case err != nil:
			return false, r.tellAway(err)
		}
		return true, nil
	}
	if p := n.page; p != nil {
		if wanted := p.after(r.seen.After, &r.interest); len(wanted) > 0 {
			if err := r.write(wanted); err != nil {
				return false, err
			}
		}
		r.seen.After, r.away = p.last(), false
		return true, nil
	}
	if n.err != nil {
		return false, r.tellAway(n.err)
	}
	return false, nil
}

var errGone = errors.New("nobody reads the stream any more")

// catchUp asks the main node for the events up to one.
func (r *reader) catchUp(to int64) error {
	c, err := r.server.main.client()
	if err != nil {
		return err
	}
	first, err := firstOf(r.ctx, c, wire.FollowEvents{After: r.seen.After})
	if err != nil {
		return err
	}
	if after := r.seen.After; first > after+1 && r.tellGap(after, first-1) != nil {
		return errGone
	}
	for e, err := range c.Events(r.ctx, wire.FollowEvents{After: r.seen.After, Filter: r.seen.Filter}) {
		if err != nil {
			return err
		}
		if r.tellEvent(&e) != nil {
			return errGone
		}
	}
	r.seen.After = max(r.seen.After, to)
	return nil
}

// firstOf is the first event that is asked for of those that the main node keeps still; 0: there is none.
func firstOf(ctx context.Context, c *client.Client, f wire.FollowEvents) (int64, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	for e, err := range c.Events(ctx, f) {
		return e.Seq, err
	}
	return 0, nil
}
