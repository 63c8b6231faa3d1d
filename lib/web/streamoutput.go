package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// streamOutput sends what a task has printed and will print, until it is over: as events, or as it is.
func (s *Server) streamOutput(w http.ResponseWriter, r *http.Request) error {
	o, err := s.wantedOutput(r)
	if err != nil {
		return err
	}
	if o.heard { // a browser would connect again for ever
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	open := s.openStream
	if o.raw {
		open = s.openRaw
	}
	if o.stream, err = open(w, r); err != nil {
		return err
	}
	defer o.end()
	if r.Method == http.MethodHead {
		return nil
	}
	if err := o.follow(); err != nil && o.raw {
		panic(http.ErrAbortHandler) // so that it does not look like the end
	}
	return nil
}

// outputReader is who reads what a task prints.
type outputReader struct {
	*stream
	server  *Server
	who     *visitor // nil: anybody
	task    task.Task
	attempt int         // that alone; 0: the newest
	only    task.Stream // 0: both
	raw     bool        // bytes, not events
	heard   bool        // the end, before
	seen    mark
	last    byte // of what was printed on stdout
	away    bool // it was told that nothing is read
}

// endMark stands behind the number of the event that is the last.
const endMark = ":end"

func (s *Server) wantedOutput(r *http.Request) (*outputReader, error) {
	q := newQuery(r)
	o := &outputReader{server: s, who: visitorOf(r.Context()), attempt: q.number("attempt", 0, 1, 1<<30), only: q.streamOf()}
	from := q.one("from")
	switch f := q.one("format"); f {
	case "raw":
		o.raw = true
	case "", "events":
		o.raw = f == "" && wantsPlain(r)
	default:
		q.fail(invalid("unknown format %.40q: one of events, raw", f))
	}
	if given := r.Header.Get("Last-Event-ID"); given != "" {
		from, o.heard = strings.CutSuffix(given, endMark)
	}
	var err error
	if from != "" {
		if o.seen, err = parseMark(from); err != nil {
			q.fail(invalid("from, or Last-Event-ID, %v", err))
		}
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	if o.task, err = s.task(ctx, r.PathValue("id")); err == nil {
		err = o.settle()
	}
	return o, err
}

// settle finds out where to begin. Of an attempt that is not the newest any more there is no more to come.
func (o *outputReader) settle() error {
	newest := o.task.Attempt
	switch {
	case o.attempt > newest:
		return invalid("attempt=%d: the newest is %d", o.attempt, newest)
	case o.attempt != 0:
		newest = o.attempt
	}
	if o.seen.attempt == 0 {
		o.seen.attempt = newest
	}
	if o.seen.attempt != newest {
		o.seen, o.heard = mark{attempt: newest}, false
	}
	o.heard = o.heard && o.task.State.Ended()
	return nil
}

// wantsPlain says whether text is asked for, and not events.
func wantsPlain(r *http.Request) bool {
	ranges := parseAccept(r.Header.Values("Accept"))
	return qualityOf("text/plain", ranges) > qualityOf("text/event-stream", ranges)
}

func (q *query) streamOf() (only task.Stream) {
	if text := q.one("stream"); text != "" {
		if err := only.UnmarshalText([]byte(text)); err != nil {
			q.fail(invalid("stream: %v", err))
		}
	}
	return only
}

// reading is how the main node is asked.
func (o *outputReader) reading() reading {
	if o.who != nil {
		return o.who.privately
	}
	return o.server.openly
}

// follow writes until the task is over, and then that it is. An error is that the reader is gone, or has to come again.
func (o *outputReader) follow() error {
	if err := o.catchUp(); err != nil {
		return err
	}
	if o.task.State.Ended() {
		return o.tellEnd()
	}
	all := &o.server.reels
	if o.who != nil {
		all = &reels{byTask: map[string]*reel{}}
	}
	r, leave := all.follow(o.ctx, newReel(o.task.ID.String(), o.attempt, o.seen, o.reading()))
	defer leave()
	return o.watch(r)
}

// watch writes what a reel has, until there will be nothing more.
func (o *outputReader) watch(r *reel) error {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		f := r.after(o.seen)
		err := o.show(&f)
		switch {
		case err != nil:
			return err
		case f.missing || len(f.pieces) > 0:
			continue
		case f.over && f.err != nil:
			return o.tellAway(f.err)
		case f.over:
			return o.tellEnd()
		}
		select {
		case <-f.changed:
		case <-tick.C:
			if !o.raw {
				err = o.alive()
			}
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

func (o *outputReader) show(f *footage) error {
	switch {
	case f.missing:
		return o.catchUp()
	case f.err != nil && !f.over && len(f.pieces) == 0:
		return o.tellAway(f.err)
	}
	for _, p := range f.pieces {
		if err := o.tell(p); err != nil {
			return err
		}
	}
	return nil
}

// catchUp writes what there is by now, as fast as the reader reads.
func (o *outputReader) catchUp() error {
	for {
		err := o.reading()(o.ctx, o.readAll)
		if err == nil || o.ctx.Err() != nil || errors.Is(err, errGone) || errors.Is(err, task.ErrNotFound) {
			return err
		}
		if err := o.tellAway(err); err != nil {
			return err
		}
		select {
		case <-time.After(lookEvery):
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
	}
}

// readAll looks at the task first: what has ended by then has no more to print.
func (o *outputReader) readAll(ctx context.Context, c *client.Client) (err error) {
	if o.task, err = c.Task(ctx, o.task.ID.String()); err != nil {
		return err
	}
	f := wire.FollowOutput{Task: o.task.ID.String(), Attempt: o.attempt, Position: o.seen.position}
	for p, err := range c.OutputSince(ctx, f, o.seen.attempt) {
		if err != nil {
			return err
		}
		if o.tell(&p) != nil {
			return errGone
		}
	}
	return nil
}

// printedPiece is a piece of output as an event. Bytes that are not text are in base64, exactly.
type printedPiece struct {
	Attempt  int         `json:"attempt"`
	Stream   task.Stream `json:"stream"`
	Position int64       `json:"position"` // of the first of these bytes
	Data     *string     `json:"data,omitempty"`
	Base64   []byte      `json:"data_base64,omitempty"`
}

// tell writes of a piece what was not written yet.
func (o *outputReader) tell(p *client.Piece) error {
	end := endOf(p)
	if !o.seen.before(end) || len(p.Data) == 0 {
		return nil
	}
	data, position := p.Data, p.Position
	if o.seen.attempt == p.Attempt && position < o.seen.position {
		data, position = data[o.seen.position-position:], o.seen.position
	}
	o.seen, o.away = end, false
	if o.only != 0 && o.only != p.Stream {
		return nil
	}
	if p.Stream == task.Stdout {
		o.last = data[len(data)-1]
	}
	if o.raw {
		return o.write(data)
	}
	e := &printedPiece{Attempt: p.Attempt, Stream: p.Stream, Position: position}
	if utf8.Valid(data) {
		text := string(data)
		e.Data = &text
	} else {
		e.Base64 = data
	}
	return o.say(end.String(), "output", e)
}

func (o *outputReader) say(id, name string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return o.write(framed(id, name, b))
}

// tellAway tells once that nothing can be read now. Bytes just wait.
func (o *outputReader) tellAway(err error) error {
	if o.away || o.raw {
		return nil
	}
	o.away = true
	return o.write(framed("", "away", awayData(err)))
}

// endLine ends the line of a value.
func (o *outputReader) endLine() error {
	if !task.IsValue(o.task.Type) || o.only == task.Stderr {
		return nil
	}
	if o.last == 0 && o.seen.position > 0 { // it was all read before, but for this newline
		if err := o.reading()(o.ctx, o.lookBack); err != nil {
			return err
		}
	}
	if o.last == 0 || o.last == '\n' {
		return nil
	}
	return o.write([]byte{'\n'})
}

// lookBack finds what was printed last, if what was seen is all there is.
func (o *outputReader) lookBack(ctx context.Context, c *client.Client) error {
	last, end := byte(0), mark{}
	for p, err := range c.Output(ctx, wire.FollowOutput{Task: o.task.ID.String(), Attempt: o.seen.attempt}) {
		if err != nil {
			return err
		}
		end = endOf(&p)
		if p.Stream == task.Stdout && len(p.Data) > 0 {
			last = p.Data[len(p.Data)-1]
		}
	}
	if end == o.seen {
		o.last = last
	}
	return nil
}

// outputEnd is how a task ended.
type outputEnd struct {
	Attempt  int        `json:"attempt"`
	Position int64      `json:"position"`
	State    task.State `json:"state"`
	ExitCode *int       `json:"exit_code,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}

// tellEnd tells that there will be no more. A value gets the newline that is not part of it, as from rc-logs.
func (o *outputReader) tellEnd() error {
	if o.raw {
		return o.endLine()
	}
	if !o.task.State.Ended() {
		if err := o.catchUp(); err != nil {
			return err
		}
	}
	t := &o.task
	return o.say(o.seen.String()+endMark, "end", &outputEnd{o.seen.attempt, o.seen.position, t.State, t.ExitCode, t.Reason})
}
