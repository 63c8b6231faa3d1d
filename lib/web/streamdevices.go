package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/text"
)

// streamDevices sends all devices, and then each one that changed, whole. Who connects again gets all of them again:
// so nothing is missed, however long it was away.
func (s *Server) streamDevices(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	if _, _, err := lastEventID(r); err != nil {
		return err
	}
	leave := s.feed.follow()
	defer leave()
	v, err := s.firstView(r.Context())
	if err != nil {
		return err
	}
	st, err := s.openStream(w, r)
	if err != nil {
		return err
	}
	defer st.end()
	if r.Method != http.MethodHead {
		s.followDevices(st, v)
	}
	return nil
}

func (s *Server) firstView(ctx context.Context) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	return s.feed.first(ctx)
}

func (s *Server) followDevices(st *stream, v *view) {
	told := &told{stream: st}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		if told.tell(v) != nil {
			return
		}
		for old := v; v == old; {
			select {
			case <-v.changed:
				v = s.feed.view()
			case <-tick.C:
				if st.alive() != nil {
					return
				}
			case <-st.ctx.Done():
				return
			}
		}
	}
}

// told is what the reader of a stream has been told.
type told struct {
	*stream
	begun, away bool
	devices     map[string]string
}

// tell tells what is new.
func (t *told) tell(v *view) error {
	switch {
	case !v.known:
		return nil
	case v.err != nil:
		return t.tellAway(v)
	case !t.begun || t.away:
		return t.tellAll(v)
	}
	for _, id := range v.order {
		if t.devices[id] == v.devices[id] {
			continue
		}
		if err := t.event(v.seq, "device", []byte(v.devices[id])); err != nil {
			return err
		}
	}
	for id := range t.devices {
		if _, there := v.devices[id]; there {
			continue
		}
		if err := t.event(v.seq, "removed", []byte(`{"device_id":"`+id+`"}`)); err != nil { // a name needs no escapes
			return err
		}
	}
	t.devices = v.devices
	return nil
}

func (t *told) tellAll(v *view) error {
	list := make([]string, len(v.order))
	for i, id := range v.order {
		list[i] = v.devices[id]
	}
	t.begun, t.away, t.devices = true, false, v.devices
	return t.event(v.seq, "devices", []byte(`{"devices":[`+strings.Join(list, ",")+`]}`))
}

// tellAway tells once that the main node cannot be asked.
func (t *told) tellAway(v *view) error {
	if t.away {
		return nil
	}
	t.away = true
	return t.event(v.seq, "away", awayData(v.err))
}

func awayData(err error) []byte {
	problem, _ := refusalOf(err)
	b, err := json.Marshal(map[string]string{"message": text.Sanitize(problem.message)})
	if err != nil { // of a string
		return []byte("{}")
	}
	return b
}
