package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
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
	ctx, cancel := context.WithCancel(st.ctx)
	var reading sync.WaitGroup
	events := make(chan happened)
	reading.Go(func() { s.readEvents(ctx, f, events) })
	writeEvents(st, events, f.After)
	cancel()
	reading.Wait()
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
	if !given {
		seen = max(status.LastEvent-int64(many), 0)
	}
	// A number that does not exist yet is from another life of the main node, before a backup was restored.
	return wire.FollowEvents{After: min(seen, status.LastEvent), Follow: true, Filter: filter}, nil
}

// happened is an event, or that the main node cannot be asked.
type happened struct {
	cluster.Event
	err error
}

// readEvents reads events until ctx ends. The client connects again by itself; where it gives up, the main node is elsewhere or
// was never there.
func (s *Server) readEvents(ctx context.Context, f wire.FollowEvents, out chan<- happened) {
	for ctx.Err() == nil {
		err := s.readOnce(ctx, &f, out)
		if ctx.Err() != nil {
			return
		}
		s.main.lookAgain()
		send(ctx, out, happened{err: err})
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

func (s *Server) readOnce(ctx context.Context, f *wire.FollowEvents, out chan<- happened) error {
	c, err := s.main.client()
	if err != nil {
		return err
	}
	for e, err := range c.Events(ctx, *f) {
		if err != nil {
			return err
		}
		f.After = e.Seq
		send(ctx, out, happened{Event: e.Event})
	}
	return nil
}

func send(ctx context.Context, out chan<- happened, h happened) {
	select {
	case out <- h:
	case <-ctx.Done():
	}
}

// writeEvents writes until the reader is gone. Of errors in a row one is told.
func writeEvents(st *stream, events <-chan happened, seq int64) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	away := false
	for {
		var err error
		select {
		case h := <-events:
			switch {
			case h.err == nil && h.Seq > 0:
				seq, away = h.Seq, false
				err = st.event(seq, "", eventData(&h.Event))
			case h.err != nil && !away:
				away = true
				err = st.event(seq, "away", awayData(h.err))
			}
		case <-tick.C:
			err = st.alive()
		case <-st.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// eventData is an event in one line, with what a reader would have to make of it otherwise.
func eventData(e *cluster.Event) []byte {
	b, err := json.Marshal(struct {
		*cluster.Event
		Level cluster.Level `json:"level"`
		Text  string        `json:"text"`
	}{e, e.Level(), text.Sentence(e)})
	if err != nil { // of plain fields
		return []byte("{}")
	}
	return b
}
