package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// streamLogs sends the newest events and those that will come, or all after the one that the reader has seen last.
func (s *Server) streamLogs(w http.ResponseWriter, r *http.Request) error {
	f, err := s.wanted(r)
	if err != nil {
		return err
	}
	st, err := s.openStream(w, r)
	if err != nil {
		return err
	}
	defer st.end()
	if r.Method == http.MethodHead || st.event(f.After, "", nil) != nil { // so that who connects again knows where to go on
		return nil
	}
	if who := visitorOf(r.Context()); who != nil {
		(&privateReader{stream: st, who: who, seen: &f}).follow()
		return nil
	}
	leave := s.bulletin.follow()
	defer leave()
	(&reader{server: s, stream: st, seen: &f, match: wire.NewEventMatch(&f.Filter), resets: s.bulletin.after(f.After).resets}).follow()
	return nil
}

// wanted is what to ask the main node for.
func (s *Server) wanted(r *http.Request) (f wire.FollowEvents, err error) {
	q := newQuery(r)
	filter, many := q.events(), q.number("n", manyEvents, 0, mostEvents)
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
	if !given {
		seen = max(status.LastEvent-int64(many), 0)
	}
	// A number that does not exist yet is from another life of the main node, before a backup was restored.
	return wire.FollowEvents{After: min(seen, status.LastEvent), Follow: true, Filter: filter}, nil
}

// reader is who reads a stream of events that anybody may read.
type reader struct {
	server *Server
	*stream
	seen   *wire.FollowEvents // After is the last event that was written, or is not wanted
	match  *wire.EventMatch
	away   bool // it was told that nothing is read
	resets int  // of the bulletin, that it knows of
}

// follow writes until the reader is gone.
func (r *reader) follow() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		n := r.server.bulletin.after(r.seen.After)
		again, err := r.tell(&n)
		if err != nil {
			return
		}
		if again {
			continue
		}
		select {
		case <-n.changed:
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
		r.resets, r.seen.After = n.resets, min(r.seen.After, n.newest)
		return true, nil
	}
	if n.missing > 0 {
		switch err := r.catchUp(n.missing); {
		case errors.Is(err, errGone):
			return false, err
		case err != nil && !r.away:
			return false, r.tellAway(err)
		case err != nil:
			return false, nil
		}
		return true, nil
	}
	if p := n.page; p != nil {
		if wanted := p.after(r.seen.After, r.match); len(wanted) > 0 {
			if err := r.write(wanted); err != nil {
				return false, err
			}
		}
		r.seen.After, r.away = p.last(), false
		return true, nil
	}
	if n.err != nil && !r.away {
		return false, r.tellAway(n.err)
	}
	return false, nil
}

func (r *reader) tellAway(err error) error {
	r.away = true
	return r.event(r.seen.After, "away", awayData(err))
}

var errGone = errors.New("nobody reads the stream any more")

// catchUp asks the main node for the events up to one.
func (r *reader) catchUp(to int64) error {
	c, err := r.server.main.client()
	if err != nil {
		return err
	}
	for e, err := range c.Events(r.ctx, wire.FollowEvents{After: r.seen.After, Filter: r.seen.Filter}) {
		if err != nil {
			return err
		}
		if r.event(e.Seq, "", eventData(&e.Event)) != nil {
			return errGone
		}
		r.seen.After, r.away = e.Seq, false
	}
	r.seen.After = max(r.seen.After, to)
	return nil
}
