package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	keepAlive = 15 * time.Second // so that proxies and sleeping laptops notice a dead stream
	retryMS   = 2000             // what a browser waits before it connects again
)

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context // ends with the reader, or when rc-web stops
	end     func()
}

// stream is a handler whose answer goes on for long.
func (s *Server) stream(answer func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.plain(func(w http.ResponseWriter, r *http.Request) error {
		if fromElsewhere(r) {
			return refused(http.StatusForbidden, "E_ORIGIN", "a page of another site may not do this")
		}
		return answer(w, r)
	})
}

// openStream begins a stream of events, if there is room for one. Call end.
func (s *Server) openStream(w http.ResponseWriter, r *http.Request) (*stream, error) {
	st, err := s.roomAndTime(w, r)
	if err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Transfer-Encoding", "identity") // so its end is the connection's: chunks would cost a third more writes
	return st, st.begin(r)
}

// openRaw begins a stream of bytes: in chunks, so that whoever reads knows its end from its breaking off.
func (s *Server) openRaw(w http.ResponseWriter, r *http.Request) (*stream, error) {
	st, err := s.roomAndTime(w, r)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead && st.control.Flush() != nil {
		st.end()
		panic(http.ErrAbortHandler) // nobody reads
	}
	return st, nil
}

// roomAndTime makes a stream of an answer, which may go on for long.
func (s *Server) roomAndTime(w http.ResponseWriter, r *http.Request) (*stream, error) {
	leave, err := s.roomForStream(r)
	if err != nil {
		return nil, err
	}
	releaseConn(r.Context())
	ctx, cancel := context.WithCancel(r.Context())
	st := &stream{w: w, control: http.NewResponseController(w), ctx: ctx, end: func() {
		cancel()
		leave()
	}}
	go s.watch(ctx, cancel)
	w.Header().Set("X-Accel-Buffering", "no")
	w.Header().Set("Connection", "close") // its slot was given back
	if err := st.control.SetReadDeadline(time.Time{}); err != nil {
		st.end()
		return nil, err
	}
	return st, nil
}

// roomForStream is the place of one stream, of all and of those of its address.
func (s *Server) roomForStream(r *http.Request) (leave func(), err error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, refused(http.StatusServiceUnavailable, "E_RATE", "%d streams are open already", maxStreams)
	}
	out, ok := s.listeners.enter(s.addressOf(r))
	if !ok {
		<-s.streams
		return nil, refused(http.StatusServiceUnavailable, "E_RATE", "%d streams from this address are open already", maxStreamsFrom)
	}
	return func() {
		out()
		<-s.streams
	}, nil
}

// watch ends a stream when rc-web stops, or when the main node does not know its visitor any more.
func (s *Server) watch(ctx context.Context, end context.CancelFunc) {
	defer end()
	var look <-chan time.Time
	who := visitorOf(ctx)
	if who != nil {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		look = tick.C
	}
	for {
		select {
		case <-s.ending:
			return
		case <-ctx.Done():
			return
		case <-look:
			if errors.Is(who.ping(ctx), errUsedUp) {
				return
			}
		}
	}
}

func (st *stream) begin(r *http.Request) error {
	if r.Method == http.MethodHead {
		st.w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := st.write([]byte("retry: " + strconv.Itoa(retryMS) + "\n\n")); err != nil {
		st.end()
		panic(http.ErrAbortHandler) // nobody reads
	}
	return nil
}

// event writes an event: its number, its name if it has one, and one line of data.
func (st *stream) event(id int64, name string, data []byte) error {
	return st.write(frameOf(id, name, data))
}

// alive writes a line that means nothing.
func (st *stream) alive() error { return st.write([]byte(":\n\n")) }

// write is for who reads: there is no limit on how long a stream may be, but one on how long a piece may wait.
func (st *stream) write(b []byte) error {
	if err := st.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := st.w.Write(b); err != nil {
		return err
	}
	return st.control.Flush()
}

// lastEventID is the number of the last event that the reader has seen: with it a browser connects again.
func lastEventID(r *http.Request) (id int64, given bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		return 0, false, nil
	}
	id, err = strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		return 0, false, invalid("Last-Event-ID %.40q: the number of an event", text)
	}
	return id, true, nil
}
