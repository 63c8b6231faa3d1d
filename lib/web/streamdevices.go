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
	if r.Method != http.MethodHead {
		s.followDevices(st, v)
	}
	return nil
}

// watchDevices begins to follow the devices, and the log, which tells when to look at them; call leave.
func (s *Server) watchDevices() (leave func()) {
	looking, hearing := s.feed.follow(), s.bulletin.follow()
	return func() {
		looking()
		hearing()
	}
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
	full        bool // it is told of the cluster too, and by a stream whose numbers are those of something else
	begun, away bool
	status      string
	devices     map[string]string
}

// say writes an event about what a view shows.
func (t *told) say(v *view, name, data string) error {
	if t.full {
		return t.write(framed("", name, []byte(data)))
	}
	return t.event(v.seq, name, []byte(data))
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
		if err := t.say(v, "device", v.devices[id]); err != nil {
			return err
		}
	}
	for id := range t.devices {
		if _, there := v.devices[id]; there {
			continue
		}
		if err := t.say(v, "removed", `{"device_id":"`+id+`"}`); err != nil { // a name needs no escapes
			return err
		}
	}
	t.devices = v.devices
	return t.tellStatus(v)
}

// tellStatus tells how the cluster stands, where that is told and has changed.
func (t *told) tellStatus(v *view) error {
	if !t.full || t.status == v.status {
		return nil
	}
	t.status = v.status
	return t.say(v, "status", v.status)
}

func (t *told) tellAll(v *view) error {
	list := make([]string, len(v.order))
	for i, id := range v.order {
		list[i] = v.devices[id]
	}
	t.begun, t.away, t.devices = true, false, v.devices
	if err := t.say(v, "devices", `{"devices":[`+strings.Join(list, ",")+`]}`); err != nil {
		return err
	}
	return t.tellStatus(v)
}

// tellAway tells once that the main node cannot be asked.
func (t *told) tellAway(v *view) error {
	if t.away {
		return nil
	}
	t.away = true
	return t.say(v, "away", string(awayData(v.err)))
}

func awayData(err error) []byte {
	problem, _ := refusalOf(err)
	b, err := json.Marshal(map[string]string{"message": text.Sanitize(problem.message)})
	if err != nil { // of a string
		return []byte("{}")
	}
	return b
}
