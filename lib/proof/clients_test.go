package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// crowd is the clients of a lane, and what they note.
type crowd struct {
	*history
	r     *rig
	t     *testing.T
	ctx   context.Context // of those who watch
	leave context.CancelFunc
	wg    sync.WaitGroup

	sent  atomic.Int64 // tasks that may have been submitted
	acked atomic.Int64
	lost  atomic.Int64     // replies that were lost on purpose
	known chan task.ID     // some of the tasks, for who looks at them
	ids   map[task.ID]bool // acknowledged
}

func newCrowd(t *testing.T, r *rig) *crowd {
	c := &crowd{history: newHistory(), r: r, t: t, known: make(chan task.ID, 64), ids: map[task.ID]bool{}}
	c.ctx, c.leave = context.WithCancel(t.Context())
	t.Cleanup(func() { c.leave(); c.wg.Wait() })
	return c
}

// submit hands in tasks under a key until that is acknowledged, and notes it. Task i has the key KEY/i. Who calls it has counted them as sent.
func (c *crowd) submit(ctx context.Context, cl *client.Client, key string, specs []task.Spec) []task.ID {
	for {
		s, err := cl.Submit(ctx, specs, client.SubmitOptions{Key: key})
		if err == nil {
			c.accepted(key, s.Tasks)
			return s.Tasks
		}
		if ctx.Err() != nil {
			return nil
		}
		if _, away := errors.AsType[*client.UnreachableError](err); !away && !errors.Is(err, wire.ErrShutdown) {
			c.t.Errorf("submit %s: %v", key, err)
			return nil
		}
	}
}

func (c *crowd) accepted(key string, ids []task.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, id := range ids {
		c.acks = append(c.acks, ack{fmt.Sprintf("%s/%d", key, i), id})
		if !c.ids[id] {
			c.ids[id] = true
			c.acked.Add(1)
		}
	}
	select {
	case c.known <- ids[0]:
	default:
	}
}

// submitter hands in pages of tasks, and loses every third reply: it hangs up soon after it has asked, and asks again under the same key,
// now and then although it had been answered.
func (c *crowd) submitter(name string, rng *rand.Rand, pages, size int, spec func(key string) task.Spec) {
	c.wg.Go(func() {
		cl := c.r.client()
		defer func() { cl.Close() }()
		for n := range pages {
			key := fmt.Sprintf("%s-%d", name, n)
			var specs []task.Spec
			for i := range size {
				specs = append(specs, spec(fmt.Sprintf("%s/%d", key, i)))
			}
			c.sent.Add(int64(size))
			if rng.IntN(3) == 0 {
				ctx, hangUp := context.WithTimeout(c.ctx, between(rng, 0, 6*time.Millisecond))
				if s, err := cl.Submit(ctx, specs, client.SubmitOptions{Key: key}); err == nil {
					c.accepted(key, s.Tasks)
				} else {
					c.lost.Add(1)
				}
				hangUp()
				cl.Close()
				cl = c.r.client()
			}
			if c.submit(c.ctx, cl, key, specs) == nil {
				return
			}
		}
	})
}

// watch takes overviews, looks at tasks, and follows the events, until the crowd leaves.
func (c *crowd) watch() {
	c.wg.Go(func() { c.each(20*time.Millisecond, c.overview) })
	c.wg.Go(func() { c.each(5*time.Millisecond, c.look) })
	for range 2 {
		c.follow()
	}
}

// each does something again and again; an error is nothing to tell of, since the main node comes and goes.
func (c *crowd) each(pause time.Duration, do func(ctx context.Context, cl *client.Client) error) {
	cl := c.r.client()
	defer cl.Close()
	for c.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
		do(ctx, cl)
		cancel()
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
	}
}

func (c *crowd) overview(ctx context.Context, cl *client.Client) error {
	atLeast := c.acked.Load()
	s, err := cl.Status(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshots = append(c.snapshots, snapshot{s.Tasks, atLeast, c.sent.Load()})
	return nil
}

// look looks at a task, and notes it if it is over. It looks again at those that are not.
func (c *crowd) look(ctx context.Context, cl *client.Client) error {
	var id task.ID
	select {
	case id = <-c.known:
	case <-ctx.Done():
		return ctx.Err()
	}
	t, err := cl.Task(ctx, id.String())
	if err == nil && t.State.Ended() {
		c.mu.Lock()
		c.told = append(c.told, told{id, t.State, t.Attempt})
		c.mu.Unlock()
		return nil
	}
	select {
	case c.known <- id:
	default:
	}
	return err
}

// follow follows the events from the first on, over as many connections as it takes.
func (c *crowd) follow() {
	c.mu.Lock()
	n := len(c.followed)
	c.followed = append(c.followed, nil)
	c.mu.Unlock()
	c.wg.Go(func() {
		cl := c.r.client()
		defer cl.Close()
		for e, err := range cl.Events(c.ctx, wire.FollowEvents{Follow: true}) {
			if err != nil {
				if c.ctx.Err() == nil {
					c.t.Errorf("follow events: %v", err)
				}
				return
			}
			c.mu.Lock()
			c.followed[n] = append(c.followed[n], e.Event)
			c.mu.Unlock()
		}
	})
}

// cancels cancels a task now and then, until the crowd leaves.
func (c *crowd) cancels() {
	c.wg.Go(func() { c.each(60*time.Millisecond, c.cancelOne) })
}

func (c *crowd) cancelOne(ctx context.Context, cl *client.Client) error {
	select {
	case id := <-c.known:
		return c.cancel(ctx, cl, id)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cancel cancels a task, and notes that it was that which ended it.
func (c *crowd) cancel(ctx context.Context, cl *client.Client, id task.ID) error {
	n, err := cl.Cancel(ctx, wire.Select{Tasks: []string{id.String()}})
	if err != nil || n != 1 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelled[id] = time.Now()
	return nil
}

// settle waits until every task is over, all of them and no matter who submits them meanwhile; false: they are not.
func (c *crowd) settle(limit time.Duration) bool {
	cl := c.r.client()
	defer cl.Close()
	return waitFor(limit, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		defer cancel()
		s, err := cl.Status(ctx)
		return err == nil && s.TasksQueued+s.TasksActive == 0
	})
}

// over is how many tasks are over; -1: there is nobody to ask just now.
func (c *crowd) over() (n int64) {
	cl := c.r.client()
	defer cl.Close()
	s, err := cl.Status(within(c.t, ready))
	if err != nil {
		return -1
	}
	for _, state := range task.States() {
		if state.Ended() {
			n += s.Tasks[state.String()]
		}
	}
	return n
}

// collect notes how everything stands in the end, and judges it.
func (c *crowd) collect() []string {
	c.t.Helper()
	c.leave()
	c.wg.Wait()
	for n, events := range c.followed {
		if len(events) == 0 {
			c.t.Errorf("follower %d has seen nothing", n+1)
		}
	}
	if len(c.snapshots) == 0 || len(c.acks) == 0 {
		c.t.Errorf("nobody has seen anything: %d overviews, %d acknowledgements", len(c.snapshots), len(c.acks))
	}
	c.noZombiesAfter(3 * time.Second)
	cl := c.r.client()
	defer cl.Close()
	c.finals(cl)
	for e, err := range cl.Events(within(c.t, time.Minute), wire.FollowEvents{Output: true}) {
		if err != nil {
			c.t.Fatalf("events: %v", err)
		}
		c.events = append(c.events, e.Event)
		for _, p := range e.Pieces {
			chunk, err := p.Chunk()
			if err != nil {
				c.t.Fatal(err)
			}
			c.outputs[e.Task] += string(chunk.Data)
		}
	}
	c.longOutputs(cl)
	c.testimony()
	return c.judge()
}

// complain fails a lane for what is wrong.
func complain(t *testing.T, wrong []string) {
	t.Helper()
	for _, w := range wrong {
		t.Error(w)
	}
}

// longOutputs reads the outputs that events do not carry.
func (c *crowd) longOutputs(cl *client.Client) {
	for id, t := range c.final {
		if t.Output <= wire.MaxInline {
			continue
		}
		c.outputs[id] = ""
		for p, err := range cl.Output(within(c.t, time.Minute), wire.FollowOutput{Task: id.String()}) {
			if err != nil {
				c.t.Fatalf("output of %s: %v", id, err)
			}
			c.outputs[id] += string(p.Data)
		}
	}
}

// finals reads all tasks with their attempts, many at a time.
func (c *crowd) finals(cl *client.Client) {
	ids := make(chan task.ID)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for id := range ids {
				t, err := cl.Task(within(c.t, time.Minute), id.String())
				if err != nil {
					c.t.Errorf("task %s: %v", id, err)
				}
				c.mu.Lock()
				c.final[id] = t
				c.mu.Unlock()
			}
		})
	}
	for t, err := range cl.Tasks(within(c.t, time.Minute), wire.ListTasks{}) {
		if err != nil {
			c.t.Fatalf("tasks: %v", err)
		}
		ids <- t.ID
	}
	close(ids)
	readers.Wait()
	devices, err := cl.Devices(within(c.t, time.Minute))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range devices {
		if d.ActiveTasks > 0 {
			c.held = append(c.held, fmt.Sprintf("%s holds %d attempts, and everything is over", d.ID, d.ActiveTasks))
		}
	}
}

// noZombiesAfter notes the processes of tasks that are still there some time after everything is over.
func (c *crowd) noZombiesAfter(d time.Duration) {
	var left []taskProcess
	waitFor(d, func() bool { left = c.r.taskProcesses(); return len(left) == 0 })
	for _, p := range left {
		c.zombies = append(c.zombies, p.String())
	}
}

// testimony reads what the processes of the tasks have told; see testdata/task.sh.
func (c *crowd) testimony() {
	for line := range strings.Lines(string(read(filepath.Join(c.r.witness, "history")))) {
		f := strings.Fields(line)
		if len(f) != 6 {
			c.t.Fatalf("the witness says %q", line)
		}
		id, err := task.ParseID(f[1])
		number, err2 := strconv.Atoi(f[2])
		pid, err3 := strconv.Atoi(f[4])
		if err := errors.Join(err, err2, err3); err != nil {
			c.t.Fatalf("the witness says %q: %v", line, err)
		}
		a := attempt{id, number}
		switch f[0] {
		case "start":
			c.starts = append(c.starts, start{a, f[3], pid})
		case "end":
			c.ends[a] = true
		case "overlap":
			c.overlaps = append(c.overlaps, a)
		}
	}
	files, _ := os.ReadDir(filepath.Join(c.r.witness, "out"))
	for _, f := range files {
		name, number, _ := strings.Cut(f.Name(), ".")
		if id, err := task.ParseID(name); err == nil {
			n, _ := strconv.Atoi(number)
			c.printed[attempt{id, n}] = string(read(filepath.Join(c.r.witness, "out", f.Name())))
		}
	}
}

// seconds is how many starts not the first of their task.
func (h *history) seconds() (n int) {
	seen := map[task.ID]bool{}
	for _, s := range h.starts {
		if seen[s.task] {
			n++
		}
		seen[s.task] = true
	}
	return n
}

// attempts is how many attempts were given out, and how many of them lost.
func (h *history) attempts() (all, lost int) {
	for _, t := range h.final {
		all += len(t.Attempts)
		for _, a := range t.Attempts {
			if a.Outcome == task.AttemptLost {
				lost++
			}
		}
	}
	return all, lost
}

// count is how many complaints begin with one of the names of invariants.
func count(wrong []string, names ...string) (n int) {
	for _, w := range wrong {
		for _, name := range names {
			if strings.HasPrefix(w, name+":") {
				n++
			}
		}
	}
	return n
}
