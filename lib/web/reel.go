package web

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// mark is how far somebody has read what a task printed: so many bytes of an attempt. The zero value is the beginning.
type mark struct {
	attempt  int
	position int64
}

func (m mark) String() string { return fmt.Sprintf("%d:%d", m.attempt, m.position) }

// parseMark reads what String wrote; of the newest attempt the position will do.
func parseMark(text string) (m mark, err error) {
	attempt, position, two := strings.Cut(text, ":")
	if !two {
		attempt, position = "0", text
	}
	if m.attempt, err = strconv.Atoi(attempt); err == nil {
		m.position, err = strconv.ParseInt(position, 10, 64)
	}
	if err != nil || m.attempt < 0 || m.position < 0 {
		return mark{}, fmt.Errorf("%.40q: the number of an attempt, ':' and a position in bytes", text)
	}
	return m, nil
}

func (m mark) before(o mark) bool {
	return m.attempt < o.attempt || m.attempt == o.attempt && m.position < o.position
}

func endOf(p *client.Piece) mark { return mark{p.Attempt, p.End()} }

// reading asks the main node with a client that is good until then.
type reading func(ctx context.Context, ask func(context.Context, *client.Client) error) error

// openly asks with rc-web's own token.
func (s *Server) openly(ctx context.Context, ask func(context.Context, *client.Client) error) error {
	c, err := s.main.client()
	if err != nil {
		return err
	}
	err = ask(ctx, c)
	if err != nil && ctx.Err() == nil {
		s.main.lookAgain()
	}
	return err
}

// privately asks with the visitor's, until the connection breaks.
func (v *visitor) privately(ctx context.Context, ask func(context.Context, *client.Client) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c, err := v.alone(func(err error) {
		v.all.main.lookAgain()
		stop(err)
	})
	if err != nil {
		return err
	}
	defer c.Close()
	err = ask(ctx, c)
	if broke := context.Cause(ctx); broke != nil && err != nil {
		return broke
	}
	return err
}

// reel reads what one task prints, once for all who follow it, and keeps the newest pieces. Who falls behind what is kept asks the main node for the
// rest at their own pace.
type reel struct {
	task    string
	attempt int // that alone; 0: the newest
	read    reading

	mu      sync.Mutex
	users   int
	from    mark // all after it is in pieces
	last    mark // of these
	pieces  []*client.Piece
	size    int   // bytes of them
	over    bool  // there will be nothing more
	err     error // why nothing is read
	changed chan struct{}
	stop    context.CancelFunc
	ended   chan struct{} // closed when nothing is read any more
}

const mostReel = 1 << 20 // bytes kept

func newReel(id string, attempt int, from mark, read reading) *reel {
	return &reel{task: id, attempt: attempt, read: read, from: from, last: from, changed: make(chan struct{}), ended: make(chan struct{})}
}

// run reads until ctx ends or there is nothing more to come.
func (r *reel) run(ctx context.Context) {
	defer close(r.ended)
	for ctx.Err() == nil {
		err := r.read(ctx, r.follow)
		if ctx.Err() != nil {
			return
		}
		over := err == nil || errors.Is(err, task.ErrNotFound)
		r.fail(over, err)
		if over {
			return
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

func (r *reel) follow(ctx context.Context, c *client.Client) error {
	f := wire.FollowOutput{Task: r.task, Attempt: r.attempt, Position: r.last.position, Follow: true}
	for p, err := range c.OutputSince(ctx, f, r.last.attempt) {
		if err != nil {
			return err
		}
		r.add(&p)
	}
	return nil
}

func (r *reel) add(p *client.Piece) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pieces, r.size, r.last, r.err = append(r.pieces, p), r.size+len(p.Data), endOf(p), nil
	for r.size > mostReel && len(r.pieces) > 1 {
		r.from, r.size, r.pieces = endOf(r.pieces[0]), r.size-len(r.pieces[0].Data), r.pieces[1:]
	}
	r.tell()
}

func (r *reel) fail(over bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.err = over, err
	r.tell()
}

func (r *reel) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// footage is what is new to who has read up to a mark.
type footage struct {
	pieces  []*client.Piece
	missing bool // what lies between is not kept here
	over    bool
	err     error
	changed chan struct{}
}

func (r *reel) after(m mark) footage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.before(r.from) {
		return footage{missing: true, changed: r.changed}
	}
	first := len(r.pieces)
	for first > 0 && m.before(endOf(r.pieces[first-1])) {
		first--
	}
	return footage{pieces: r.pieces[first:len(r.pieces):len(r.pieces)], over: r.over, err: r.err, changed: r.changed}
}

// reels are those that anybody may see.
type reels struct {
	mu     sync.Mutex
	byTask map[string]*reel
}

// follow gives the reel of a task, which is read from a mark if nobody reads it yet. Call leave, which waits for the end of the reading where nobody
// else follows.
func (all *reels) follow(ctx context.Context, fresh *reel) (r *reel, leave func()) {
	key := fmt.Sprintf("%s %d", fresh.task, fresh.attempt)
	all.mu.Lock()
	defer all.mu.Unlock()
	if r = all.byTask[key]; r == nil || r.isOver() {
		r = fresh
		all.byTask[key] = r
		ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
		go r.run(ctx)
	}
	r.users++
	return r, func() { all.leave(key, r) }
}

func (r *reel) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

func (all *reels) leave(key string, r *reel) {
	all.mu.Lock()
	r.users--
	last := r.users == 0
	if last && all.byTask[key] == r {
		delete(all.byTask, key)
	}
	all.mu.Unlock()
	if last {
		r.stop()
		<-r.ended
	}
}
