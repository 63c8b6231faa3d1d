package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// history is what an onlooker has seen of the cluster, and judges.
type history struct {
	w      *world
	faulty bool
	admin  string // a token

	acked     map[task.ID]bool   // submissions that were acknowledged
	cancelled map[task.ID]bool   // cancels that were acknowledged
	byKey     map[string]task.ID // what each key was answered with
	starts    map[task.Lease]int
	running   map[task.Lease]bool
	output    map[task.Lease]string
	assigned  map[task.ID]int // number of the newest attempt
	numbers   map[string]bool // task and attempt, once assigned, with its lease
	verdicts  map[wire.Verdict]int
}

func (h *history) init(w *world) {
	*h = history{w: w, acked: map[task.ID]bool{}, cancelled: map[task.ID]bool{}, byKey: map[string]task.ID{}, starts: map[task.Lease]int{}, running: map[task.Lease]bool{},
		output: map[task.Lease]string{}, assigned: map[task.ID]int{}, numbers: map[string]bool{}, verdicts: map[wire.Verdict]int{}}
}

// said sees what leaves the main node.
func (h *history) said(m *wire.Message) {
	a, ok := m.Body.(wire.Assign)
	if !ok {
		return
	}
	l := a.Task.Lease
	if h.cancelled[l.Task] {
		h.w.fail("task %s was given out after its cancel was acknowledged", l.Task)
	}
	if l.Attempt != h.assigned[l.Task]+1 && l.Attempt <= h.assigned[l.Task] {
		h.w.fail("task %s: attempt %d after attempt %d", l.Task, l.Attempt, h.assigned[l.Task])
	}
	h.assigned[l.Task] = l.Attempt
	stored, ok, err := h.w.main.db.Attempt(context.Background(), l.Task, l.Attempt)
	if err != nil || !ok || stored.Lease != l.Token {
		h.w.fail("attempt %v left before it was committed", l)
	}
}

// heard sees what reaches a worker.
func (h *history) heard(m *wire.Message) {
	if m.Type != wire.TypeAck {
		return
	}
	var j wire.Judged
	if m.Decode(&j) != nil || j.Verdict == "" {
		return
	}
	h.verdicts[j.Verdict]++
	if j.Verdict != wire.Recorded || !h.w.main.up {
		return
	}
	stored, ok, err := h.w.main.db.Attempt(context.Background(), j.Task, j.Attempt)
	if _, ended := stored.Outcome.State(); err != nil || !ok || !ended || stored.Lease != j.Token {
		h.w.fail("attempt %v was said to be recorded, and stands there as %q", j.Lease, stored.Outcome)
	}
}

// zombies looks for programs that run although everything has been well for a while and their attempt is not the task's any more.
func (h *history) zombies() {
	for l := range h.running {
		t, err := h.w.main.db.Task(context.Background(), l.Task)
		if err != nil || t.State.Ended() || t.Attempt != l.Attempt {
			h.w.fail("attempt %v runs for nobody: the task is %s in attempt %d", l, t.State, t.Attempt)
		}
	}
}

func (h *history) started(device string, l task.Lease) {
	h.w.log("%s: starts %v", device, l)
	if h.starts[l]++; h.starts[l] > 1 {
		h.w.fail("attempt %v was started twice", l)
	}
	h.running[l] = true
}

func (h *history) stopped(l task.Lease)              { delete(h.running, l) }
func (h *history) printed(l task.Lease, text string) { h.output[l] += text }

// client submits and cancels; its answers may get lost, and it asks again.
type client struct {
	w    *world
	next int
}

func (w *world) addClient() *client {
	c := &client{w: w}
	w.clients = append(w.clients, c)
	return c
}

// call sends a request until it is answered.
func (c *client) call(messageType string, body any, answer func(*wire.Message)) {
	if !c.w.main.up {
		c.w.after(c.w.soon(5*time.Second), func() { c.call(messageType, body, answer) })
		return
	}
	done, again := false, false
	retry := func() {
		if !done && !again {
			again = true
			c.call(messageType, body, answer)
		}
	}
	conn := c.w.main.connect("", func(m wire.Message) {
		if m.ReplyTo == "request" && !done && !again {
			if c.w.history.faulty && c.w.chance(6) { // the answer is lost
				retry()
				return
			}
			done = true
			answer(&m)
		}
	}, retry)
	conn.toMain(wire.Message{Type: wire.TypeHello, ID: "hello", Body: wire.Hello{Protocol: wire.Spoken, Token: c.w.history.admin}})
	conn.toMain(wire.Message{Type: messageType, ID: "request", Body: body})
}

// submit hands in some tasks under one key.
func (c *client) submit(many int) {
	c.next++
	key := fmt.Sprintf("key %d", c.next)
	s := wire.Submit{Key: key}
	for range many {
		s.Tasks = append(s.Tasks, task.Spec{Type: task.TypeEcho, Retries: c.w.rng.IntN(3), Priority: task.Priority(c.w.rng.IntN(4) - 1),
			Payload: json.RawMessage(fmt.Sprintf(`{"message":%q}`, key))})
	}
	for range 1 + c.w.rng.IntN(2) { // now and then twice at once
		c.call(wire.TypeSubmit, s, func(m *wire.Message) {
			var got wire.Submitted
			if m.Type != wire.TypeAck || m.Decode(&got) != nil || len(got.Tasks) != many {
				c.w.fail("submit was answered with %s %s", m.Type, m.Data)
			}
			for i, id := range got.Tasks {
				c.w.history.accepted(fmt.Sprintf("%s/%d", key, i), id)
			}
		})
	}
}

func (h *history) accepted(key string, id task.ID) {
	if was, ok := h.byKey[key]; ok && was != id {
		h.w.fail("%s is task %s, and was task %s", key, id, was)
	}
	h.byKey[key] = id
	h.acked[id] = true
	if _, err := h.w.main.db.Task(context.Background(), id); h.w.main.up && err != nil {
		h.w.fail("task %s was acknowledged, and is not there: %v", id, err)
	}
}

// cancel cancels a task. The request itself is the session's part of the main node, so here the core is asked as it asks.
func (c *client) cancel(id task.ID) {
	main := c.w.main
	if !main.up {
		return
	}
	life := main.life
	main.give(mainnode.Ask(func(core *mainnode.Core) {
		if !core.Cancel(id) {
			return
		}
		c.w.after(10*time.Millisecond, func() { // by then it is committed, or the main node has crashed
			if main.life == life && main.up {
				c.w.log("cancelled %s", id)
				c.w.history.cancelled[id] = true
			}
		})
	}))
}

// judge looks at the end of it all.
func (h *history) judge() {
	ctx, db := context.Background(), h.w.main.db
	for id := range h.acked {
		t, err := db.Task(ctx, id)
		if err != nil {
			h.w.fail("task %s was acknowledged and is lost: %v", id, err)
		}
		if !t.State.Ended() {
			h.w.fail("task %s is %s for ever, in attempt %d on %s: %s", id, t.State, t.Attempt, t.Device, t.Reason)
		}
		if h.cancelled[id] && t.State != task.Cancelled {
			h.w.fail("task %s was cancelled and is %s", id, t.State)
		}
		h.judgeAttempts(&t)
	}
	if len(h.running) > 0 {
		h.w.fail("%d programs run, and everything has ended", len(h.running))
	}
	for _, d := range h.w.workers {
		if held := d.core.Held(); len(held) > 0 || len(d.spool) > 0 {
			h.w.fail("%s holds %v and spools %d for ever", d.name, held, len(d.spool))
		}
	}
	h.judgeEvents()
}

func (h *history) judgeAttempts(t *task.Task) {
	attempts, err := h.w.main.db.Attempts(context.Background(), t.ID)
	if err != nil {
		h.w.t.Fatal(err)
	}
	if len(attempts) != t.Attempt {
		h.w.fail("task %s has %d attempts, and its newest is number %d", t.ID, len(attempts), t.Attempt)
	}
	for i, a := range attempts {
		if a.Number != i+1 || a.Outcome.Open() {
			h.w.fail("task %s has ended, and its attempt %d is %s", t.ID, a.Number, a.Outcome)
		}
	}
	if t.State != task.Completed {
		return
	}
	last := attempts[len(attempts)-1]
	if last.Outcome != task.AttemptCompleted {
		h.w.fail("task %s is completed, and its newest attempt is %s", t.ID, last.Outcome)
	}
	h.judgeOutput(&last)
}

// judgeOutput holds what is kept of an attempt that counted against what its program printed.
func (h *history) judgeOutput(a *store.Attempt) {
	want := h.output[task.Lease{Task: a.Task, Attempt: a.Number, Token: a.Lease}]
	chunks, err := h.w.main.db.Output(context.Background(), a.Task, a.Number, 0, 1<<30)
	if err != nil {
		h.w.t.Fatal(err)
	}
	var got strings.Builder
	for _, c := range chunks {
		got.Write(c.Data)
	}
	if got.String() != want {
		h.w.fail("task %s, attempt %d printed %d bytes, and %d other ones are kept", a.Task, a.Number, len(want), got.Len())
	}
}

// judgeEvents wants every number once, and one end for each task.
func (h *history) judgeEvents() {
	events, err := h.w.main.db.Events(context.Background(), 0, 1<<20)
	if err != nil {
		h.w.t.Fatal(err)
	}
	ends := map[task.ID]int{}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			h.w.fail("event %d has the number %d", i+1, e.Seq)
		}
		if e.Kind == cluster.TaskEnded {
			ends[e.Task]++
		}
	}
	for id := range h.acked {
		if ends[id] != 1 {
			h.w.fail("task %s has ended %d times", id, ends[id])
		}
	}
}
