package web

import (
	"net/http"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// streamAll is one connection for a page that shows everything: how the cluster stands and its devices, as /stream/devices has them, each line of
// the log, and each state that a task moves to. Only what comes from the log has numbers, since only that can be missed.
func (s *Server) streamAll(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	f, err := s.begin(r, q, 0)
	if err != nil {
		return err
	}
	defer s.watchDevices()()
	v, err := s.firstView(r.Context())
	if err != nil {
		return err
	}
	st, err := s.openStream(w, r)
	if err != nil {
		return err
	}
	defer st.end()
	if r.Method == http.MethodHead || st.event(f.After, "", nil) != nil {
		return nil
	}
	s.tellEvents(r, &telling{stream: st, seen: &f, interest: interest{dialect: inAll, match: wire.NewEventMatch(&f.Filter)},
		beside: &beside{feed: s.feed, newest: v}})
	return nil
}

// beside is what is told of the devices between events.
type beside struct {
	feed   *feed
	newest *view
	told   *told
	seen   *view // that was told
}

// changed is closed when there is something to tell.
func (b *beside) changed() <-chan struct{} {
	if b == nil || b.seen == nil {
		return nil // never
	}
	return b.seen.changed
}

// tell tells what is new.
func (b *beside) tell(st *stream) error {
	if b == nil {
		return nil
	}
	v := b.newest
	if b.told == nil {
		b.told = &told{stream: st, full: true}
	} else {
		v = b.feed.view()
	}
	if v == b.seen {
		return nil
	}
	b.seen = v
	return b.told.tell(v)
}
