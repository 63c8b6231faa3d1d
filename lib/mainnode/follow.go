package mainnode

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// eventLog keeps the newest events in memory for those who follow; older ones are read from the store. Followers read at their own
// pace, so that a slow one holds up nobody.
type eventLog struct {
	mu      sync.Mutex
	recent  []cluster.Event // without a gap, up to last
	last    int64
	changed chan struct{} // closed at the next event
}

const keepRecent = 16384

func newEventLog(last int64) *eventLog {
	return &eventLog{last: last, changed: make(chan struct{})}
}

func (l *eventLog) add(events []cluster.Event, last int64) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent = append(l.recent, events...)
	if len(l.recent) > 2*keepRecent {
		l.recent = slices.Clone(l.recent[len(l.recent)-keepRecent:])
	}
	l.last = last
	close(l.changed)
	l.changed = make(chan struct{})
}

// after gives up to limit events after a number. ok is false where they are not in memory any more. changed is closed when there are
// events after last.
func (l *eventLog) after(seq int64, limit int) (events []cluster.Event, last int64, changed <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq >= l.last {
		return nil, l.last, l.changed, true
	}
	if len(l.recent) == 0 || l.recent[0].Seq > seq+1 {
		return nil, l.last, l.changed, false
	}
	from := int(seq + 1 - l.recent[0].Seq)
	to := min(len(l.recent), from+limit)
	return l.recent[from:to:to], l.last, l.changed, true
}

// wakes wakes those who wait for a task's output or state to change.
type wakes struct {
	mu     sync.Mutex
	byTask map[task.ID]*waiters
}

type waiters struct {
	changed chan struct{}
	many    int
}

func newWakes() *wakes { return &wakes{byTask: map[task.ID]*waiters{}} }

// next is closed at the task's next change. Who does not wait any longer calls done.
func (w *wakes) next(id task.ID) (changed <-chan struct{}, done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.byTask[id]
	if now == nil {
		now = &waiters{changed: make(chan struct{})}
		w.byTask[id] = now
	}
	now.many++
	return now.changed, func() { w.leave(id, now) }
}

func (w *wakes) leave(id task.ID, from *waiters) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if from.many--; from.many == 0 && w.byTask[id] == from {
		delete(w.byTask, id)
	}
}

func (w *wakes) wake(ids []task.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.byTask) == 0 {
		return
	}
	for _, id := range ids {
		if now := w.byTask[id]; now != nil {
			close(now.changed)
			delete(w.byTask, id)
		}
	}
}

const followPage = 256 // events at a time

// followEvents sends the events that a follower asked for, and says where to go on.
// Of an owner's are those of the owner's jobs, and of devices and the main node.
func (n *Node) followEvents(ctx context.Context, f *wire.FollowEvents, owner string, send func(string, any) error) (wire.Followed, error) {
	seq, err := n.firstEvent(ctx, f)
	if err != nil {
		return wire.Followed{}, err
	}
	match, own := wire.NewEventMatch(&f.Filter), n.newOwnEvents(owner)
	for {
		page, last, changed, ok := n.events.after(seq, followPage)
		if !ok {
			if page, err = n.db.Events(ctx, seq, followPage); err != nil {
				return wire.Followed{Next: seq}, err
			}
			if len(page) == 0 { // all that were between are not kept any longer
				seq = last
			}
		}
		for i := range page {
			if seq = page[i].Seq; match.Wants(&page[i]) {
				if mine, err := own.are(ctx, &page[i]); err != nil {
					return wire.Followed{Next: seq}, err
				} else if !mine {
					continue
				}
				if err := n.sendEvent(ctx, &page[i], f.Output, send); err != nil {
					return wire.Followed{Next: seq}, err
				}
			}
		}
		if seq < last {
			continue
		}
		if !f.Follow {
			return wire.Followed{Next: seq}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return wire.Followed{Next: seq}, nil
		}
	}
}

// ownEvents are those that somebody may see who sees their own jobs alone.
type ownEvents struct {
	node  *Node
	owner string
	known map[task.JobID]bool
}

const mostKnown = 4096 // jobs, for one follower

func (n *Node) newOwnEvents(owner string) *ownEvents {
	return &ownEvents{n, owner, map[task.JobID]bool{}}
}

func (o *ownEvents) are(ctx context.Context, e *cluster.Event) (bool, error) {
	switch {
	case o.owner == "":
		return true, nil
	case e.Job == 0:
		return e.Task == 0 && (strings.HasPrefix(string(e.Kind), "device_") || strings.HasPrefix(string(e.Kind), "main_")), nil
	}
	mine, known := o.known[e.Job]
	if !known {
		owner, _, err := o.node.db.JobOwner(ctx, e.Job)
		if err != nil {
			return false, err
		}
		if len(o.known) >= mostKnown {
			clear(o.known)
		}
		mine = owner == o.owner
		o.known[e.Job] = mine
	}
	return mine, nil
}

// firstEvent is the number after which a follower begins.
func (n *Node) firstEvent(ctx context.Context, f *wire.FollowEvents) (int64, error) {
	seq := f.After
	if f.Filter.Since != nil {
		since, err := n.db.EventSince(ctx, *f.Filter.Since)
		if err != nil {
			return 0, err
		}
		seq = max(seq, since)
	}
	if f.Last > 0 {
		last, err := n.db.EventBefore(ctx, f.Last)
		if err != nil {
			return 0, err
		}
		seq = max(seq, last)
	}
	return max(seq, 0), nil
}

func (n *Node) sendEvent(ctx context.Context, e *cluster.Event, output bool, send func(string, any) error) error {
	m := wire.Event{Event: *e}
	if output && e.Kind == cluster.TaskEnded && e.Output > 0 && e.Output <= wire.MaxInline {
		chunks, err := n.outputOf(ctx, e.Task, e.Attempt)
		if err != nil {
			return err
		}
		for _, chunk := range chunks {
			m.Pieces = append(m.Pieces, wire.NewPiece(chunk))
		}
	}
	return send(wire.TypeEvent, m)
}

const outputPage = 256 << 10 // bytes at a time

// followOutput is that of the node, for who may see the task.
func (c *conn) followOutput(ctx context.Context, f *wire.FollowOutput, send func(string, any) error) (wire.OutputEnd, error) {
	if c.owner() != "" {
		id, err := c.node.db.Resolve(ctx, f.Task)
		if err != nil {
			return wire.OutputEnd{}, err
		}
		t, err := c.node.db.Task(ctx, id)
		if err == nil {
			err = c.owns(ctx, id, t.Job)
		}
		if err != nil {
			return wire.OutputEnd{}, err
		}
	}
	return c.node.followOutput(ctx, f, send)
}

// followOutput sends what a task printed. When the task is tried again it goes on with the new attempt from its beginning.
func (n *Node) followOutput(ctx context.Context, f *wire.FollowOutput, send func(string, any) error) (wire.OutputEnd, error) {
	id, err := n.db.Resolve(ctx, f.Task)
	if err != nil {
		return wire.OutputEnd{}, err
	}
	at := wire.OutputEnd{Attempt: f.Attempt, Position: f.Position}
	said := ""
	for {
		changed, done := n.wakes.next(id) // before looking, so that no change falls in between
		again, err := n.outputStep(ctx, id, f, &at, send)
		if again && err == nil && f.Progress {
			said, err = n.sendProgress(ctx, id, &at, said, send)
		}
		if err != nil || !again {
			done()
			return at, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			done()
			return at, nil
		}
		done()
	}
}

// sendProgress sends what a task says of how far it has come, if that is new.
func (n *Node) sendProgress(ctx context.Context, id task.ID, at *wire.OutputEnd, said string, send func(string, any) error) (string, error) {
	now := ""
	err := n.loop.ask(ctx, func(c *Core) {
		if t := c.tasks[id]; t != nil && t.last != nil && t.last.Number == at.Attempt {
			now = t.progress
		}
	})
	if err != nil || now == "" || now == said {
		return said, err
	}
	return now, send(wire.TypeOutput, wire.OutputPiece{Attempt: at.Attempt, Progress: now, Piece: wire.Piece{Position: at.Position}})
}

// outputStep sends all that there is now; again says that the follower waits for more.
func (n *Node) outputStep(ctx context.Context, id task.ID, f *wire.FollowOutput, at *wire.OutputEnd, send func(string, any) error) (again bool, err error) {
	for {
		t, err := n.db.Task(ctx, id)
		if err != nil {
			return false, err
		}
		if at.Attempt == 0 {
			at.Attempt = t.Attempt
		}
		more, err := n.sendOutput(ctx, id, at, send)
		if err != nil {
			return false, err
		}
		older := at.Attempt < t.Attempt
		switch at.Ended = t.State.Ended(); {
		case more:
		case f.Attempt == 0 && older:
			at.Attempt, at.Position = t.Attempt, 0
		default:
			return f.Follow && !at.Ended && !older, nil
		}
	}
}

// sendOutput sends a page of output; more says that there may be another.
func (n *Node) sendOutput(ctx context.Context, id task.ID, at *wire.OutputEnd, send func(string, any) error) (more bool, err error) {
	chunks, err := n.db.Output(ctx, id, at.Attempt, at.Position, outputPage)
	if err != nil {
		return false, err
	}
	for _, chunk := range chunks {
		for piece := range slices.Chunk(chunk.Data, wire.MaxPiece) {
			c := task.Chunk{Position: at.Position, Stream: chunk.Stream, After: chunk.After, Data: piece}
			if err := send(wire.TypeOutput, wire.OutputPiece{Attempt: at.Attempt, Piece: wire.NewPiece(c)}); err != nil {
				return false, err
			}
			at.Position = c.End()
		}
	}
	return len(chunks) > 0, nil
}

func storeFilter(f *wire.TaskFilter) store.Filter {
	s := store.Filter{States: f.States, Device: f.Device, Job: f.Job, Tasks: f.Tasks}
	if f.Since != nil {
		s.Since = *f.Since
	}
	return s
}
