package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// client submits, looks and cancels; its answers may get lost, and it asks again.
type client struct {
	w     *world
	next  int
	byKey map[string][]task.ID // what was acknowledged
	all   []task.ID
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
			if c.w.faulty && c.w.chance(6) { // the answer is lost
				retry()
				return
			}
			done = true
			answer(&m)
		}
	}, retry)
	conn.toMain(wire.Message{Type: wire.TypeHello, ID: "hello", Body: wire.Hello{Protocol: wire.Spoken, Token: c.w.main.admin}})
	conn.toMain(wire.Message{Type: messageType, ID: "request", Body: body})
}

// behaviour is what a task does, as its payload says; what is not said is left to chance.
type behaviour struct {
	Runs   time.Duration `json:"runs,omitempty"` // and then ends
	Exit   int           `json:"exit,omitempty"`
	Poison bool          `json:"poison,omitempty"` // its device dies of it
	mode
}

const work = "work" // the type of all tasks

func spec(b behaviour) task.Spec {
	payload, _ := json.Marshal(b)
	return task.Spec{Type: work, Payload: payload, Policy: task.Policy{Exclusive: b.exclusive, AtMostOnce: b.once}}
}

// submit hands in tasks under one key; times is how often, at once. The key is what the tasks are known by later.
func (c *client) submit(times int, tasks ...task.Spec) (key string) {
	c.next++
	key = fmt.Sprintf("key %d", c.next)
	for range times {
		c.call(wire.TypeSubmit, wire.Submit{Key: key, Tasks: tasks}, func(m *wire.Message) {
			var got wire.Submitted
			if m.Type != wire.TypeAck || m.Decode(&got) != nil || len(got.Tasks) != len(tasks) {
				c.w.fail("submit was answered with %s %s", m.Type, m.Data)
			}
			c.accepted(key, got.Tasks)
		})
	}
	return key
}

func (c *client) accepted(key string, ids []task.ID) {
	for i, id := range ids {
		c.w.see(observation{what: submitted, key: fmt.Sprintf("%s/%d", key, i), lease: task.Lease{Task: id}})
	}
	if c.byKey[key] == nil {
		c.byKey[key] = ids
		c.all = append(c.all, ids...)
	}
}

// cancel cancels a task. The request itself is the session's part of the main node, so here the core is asked as it asks.
func (c *client) cancel(id task.ID) {
	c.w.main.ask(func(core *mainnode.Core) bool { return core.Cancel(id) }, func() {
		c.w.log("cancelled %s", id)
		c.w.see(observation{what: cancelled, lease: task.Lease{Task: id}})
	})
}

// look shows a task to a client.
func (c *client) look(id task.ID) {
	if !c.w.main.up {
		return
	}
	o := observation{what: read, lease: task.Lease{Task: id}}
	if t, err := c.w.main.db.Task(context.Background(), id); err == nil {
		o.state, o.lease.Attempt = t.State, t.Attempt
	}
	c.w.see(o)
}

// behaviourOf reads what a task is to do.
func (w *world) behaviourOf(payload json.RawMessage) (b behaviour) {
	if err := json.Unmarshal(payload, &b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// modeOf says how a task may be run.
func modeOf(s *task.Spec) mode { return mode{s.Exclusive, s.AtMostOnce} }

// count shows a client how many tasks there are in which state.
func (c *client) count() {
	if !c.w.main.up {
		return
	}
	status, o := c.w.main.core.Status(), observation{what: snapshot, counts: map[task.State]int64{}}
	for _, s := range task.States() {
		o.counts[s] = status.Tasks[s.String()]
	}
	c.w.see(o)
}

// drain lets a device drain, within some time, or for as long as it takes.
func (c *client) drain(device string, within time.Duration) {
	c.w.main.ask(func(core *mainnode.Core) bool { return core.Drain(device, within) == nil }, func() {
		c.w.log("%s: drains within %s", device, within)
		c.w.see(observation{what: drained, device: device})
	})
}

// undrain lets a device work again, however long it takes until the main node has heard of that.
func (c *client) undrain(device string) {
	c.w.see(observation{what: resumed, device: device})
	life, done := c.w.main.life, false
	c.w.main.ask(func(core *mainnode.Core) bool { return core.Undrain(device) == nil }, func() { done = true })
	c.w.after(time.Second, func() {
		if !done || c.w.main.life != life {
			c.undrain(device)
		}
	})
}

// retry queues a task again that has ended.
func (c *client) retry(id task.ID) {
	c.w.main.ask(func(core *mainnode.Core) bool { return core.Retry(id) }, func() { c.w.log("retried %s", id) })
}
