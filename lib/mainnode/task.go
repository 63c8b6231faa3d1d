package mainnode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
	"unique"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// openTask is a task that is not over. Its payload stays in the store until it is assigned.
type openTask struct {
	row       store.Task
	job       task.JobID
	taskType  string
	needs     *task.Requirements
	priority  task.Priority
	submitted time.Time
	retries   int
	policy    *task.Policy
	progress  string

	last   *store.Attempt // the newest attempt; nil: none was made
	device *machine       // that holds the newest attempt; nil: none does
	number int64          // of the assignment on that device's session
	told   bool           // that device has told the end of the newest attempt

	recalled bool // that device was asked for it, should it not have begun it

	reserved *machine  // that is being emptied for it; then it is not in the queue
	since    time.Time // when that began
}

// What nearly all tasks need, and how often they may run.
var (
	noNeeds  = new(task.Requirements)
	noPolicy = new(task.Policy)
)

func newOpenTask(id task.ID, job task.JobID, s *task.Spec, submitted time.Time) *openTask {
	needs, policy := noNeeds, noPolicy
	if !reflect.ValueOf(s.Requirements).IsZero() {
		own := s.Requirements // not a pointer into the message that it came with
		needs = &own
	}
	if !reflect.ValueOf(s.Policy).IsZero() {
		own := s.Policy
		policy = &own
	}
	return &openTask{row: store.Task{ID: id, State: task.Queued}, job: job, taskType: unique.Make(s.Type).Value(), needs: needs,
		priority: s.Priority, submitted: submitted, retries: s.Retries, policy: policy}
}

// lease is the triple of the newest attempt.
func (t *openTask) lease() task.Lease {
	if t.last == nil {
		return task.Lease{Task: t.row.ID}
	}
	return task.Lease{Task: t.row.ID, Attempt: t.last.Number, Token: t.last.Lease}
}

// lastIs says whether l is the newest attempt, on that device, and may still report: it is open, or it was given up but no
// other attempt has been made since.
func (t *openTask) lastIs(l task.Lease, device string) bool {
	if t.last == nil || t.lease() != l || t.last.Device != device {
		return false
	}
	return t.last.Outcome.Open() || t.last.Outcome == task.AttemptLost || t.last.Outcome == task.AttemptReleased
}

// mayRunStill says whether the newest attempt of an exclusive task that waits may be running: its device was never heard to have ended it.
func (t *openTask) mayRunStill() bool {
	if !t.policy.Exclusive || t.last == nil {
		return false
	}
	return t.last.Outcome == task.AttemptCancelled || t.last.Outcome == task.AttemptReleased
}

func (t *openTask) item() scheduler.Item {
	it := scheduler.Item{ID: t.row.ID, Type: t.taskType, Priority: t.priority, Submitted: t.submitted, Needs: *t.needs}
	if t.row.Failures > 0 {
		it.Avoid = t.row.Device
	}
	return it
}

// submit takes tasks: all or none.
func (c *Core) submit(s *session, m *wire.Submit) (any, error) {
	reply := wire.Submitted{Job: m.Job, Event: c.lastEvent}
	if err := c.mayAll(s, m); err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}
	if m.Key != "" {
		known, err := c.known(s, m)
		if err != nil || known != nil {
			return known, err
		}
	}
	if c.open()+len(m.Tasks) > c.set.QueueLimit {
		return nil, &wire.Error{Code: "E_QUEUE_FULL", Text: fmt.Sprintf("submit: %d tasks wait already, the limit is %d", c.open(), c.set.QueueLimit), RetryAfter: 60_000}
	}
	if err := c.checkJob(s, m.Job); err != nil {
		return nil, err
	}
	if err := c.mayNow(s, len(m.Tasks)); err != nil {
		return nil, err
	}
	first := c.nextTask
	if reply.Job == 0 {
		reply.Job = first.AsJob()
	}
	for i := range m.Tasks {
		c.add(first+task.ID(i), reply.Job, s.owner, &m.Tasks[i])
		reply.Tasks = append(reply.Tasks, first+task.ID(i))
	}
	c.nextTask += task.ID(len(m.Tasks))
	c.batch.Set("next_task", int64(c.nextTask))
	if m.Key != "" {
		c.batch.Key(store.Key{Principal: s.principal, Key: m.Key, Index: m.KeyIndex, Count: len(m.Tasks), First: first, At: c.now})
	}
	c.counts.submitted += int64(len(m.Tasks))
	c.event(cluster.Event{Kind: cluster.JobSubmitted, Job: reply.Job, Count: len(m.Tasks)})
	return reply, nil
}

func (c *Core) add(id task.ID, job task.JobID, owner string, spec *task.Spec) {
	n := store.NewTask{ID: id, Job: job, Owner: owner, Spec: *spec, Submitted: c.now}
	n.Spec.Secrets = spec.Secrets.Hidden()
	c.bodies.put(n)
	if spec.Secrets != nil {
		n.Secrets = *spec.Secrets
	}
	c.batch.Submit(n)
	c.counts.state(task.Queued, 1)
	c.queue.Push(itemOf(&n))
	c.pending = true
}

// itemOf is an untouched task as it waits.
func itemOf(n *store.NewTask) scheduler.Item {
	return scheduler.Item{ID: n.ID, Type: unique.Make(n.Spec.Type).Value(), Priority: n.Spec.Priority, Submitted: n.Submitted, Needs: n.Spec.Requirements}
}

// checkJob says whether a session may add tasks to a job. One that is not its own does not exist for it.
func (c *Core) checkJob(s *session, job task.JobID) error {
	if job == 0 {
		return nil
	}
	if n, pending := c.batch.Added(job.First()); pending && n.Job == job && (s.owner == "" || s.owner == n.Owner) {
		return nil
	}
	owner, known, err := c.db.JobOwner(c.ctx, job)
	if err != nil || known && (s.owner == "" || s.owner == owner) {
		return err
	}
	return wire.Errorf(task.ErrNotFound, "job %s", job)
}

// known looks a submission's key up. The same tasks under the same key are the same tasks, however often they are sent.
func (c *Core) known(s *session, m *wire.Submit) (any, error) {
	stored, err := c.db.Keys(c.ctx, s.principal, m.Key, m.KeyIndex, len(m.Tasks))
	if err != nil {
		return nil, err
	}
	var stretches []store.Key
	for _, k := range append(stored, c.batch.Pending(s.principal, m.Key)...) {
		if k.Index < m.KeyIndex+len(m.Tasks) && m.KeyIndex < k.Index+k.Count {
			stretches = append(stretches, k)
		}
	}
	if len(stretches) == 0 {
		return nil, nil
	}
	reply := wire.Submitted{Event: c.lastEvent, Duplicates: len(m.Tasks)}
	for i := range m.Tasks {
		id, ok := taskOf(stretches, m.KeyIndex+i)
		job, same := c.same(id, &m.Tasks[i])
		if !ok || !same {
			return nil, wire.Errorf(task.ErrKeyReused, "submit with key %.64q, task %d", m.Key, m.KeyIndex+i+1)
		}
		reply.Job = job
		reply.Tasks = append(reply.Tasks, id)
	}
	// Whoever waits for these tasks must also see the ends that came before.
	reply.Event = 0
	return reply, nil
}

func taskOf(stretches []store.Key, i int) (task.ID, bool) {
	for _, k := range stretches {
		if k.Index <= i && i < k.Index+k.Count {
			return k.First + task.ID(i-k.Index), true
		}
	}
	return 0, false
}

// same says whether a task was submitted as spec, but for the values of secrets. One that is not kept any longer is taken at its key's word.
func (c *Core) same(id task.ID, spec *task.Spec) (task.JobID, bool) {
	if id == 0 {
		return 0, false
	}
	was, pending := c.batch.Added(id)
	if !pending {
		t, err := c.db.Task(c.ctx, id)
		if err != nil {
			return id.AsJob(), true
		}
		was.Spec, was.Job = t.Spec, t.Job
	}
	now := *spec
	now.Secrets = now.Secrets.Hidden()
	a, errA := json.Marshal(was.Spec)
	b, errB := json.Marshal(now)
	return was.Job, errA == nil && errB == nil && bytes.Equal(a, b)
}

// enqueue lets a task wait for a device, from its time on.
func (c *Core) enqueue(t *openTask) {
	if t.row.Eligible.After(c.now) {
		c.later = append(c.later, t)
		return
	}
	t.row.Eligible = time.Time{}
	c.queueUp(t)
}

// queueUp and dequeue put a task into the queue and take it out.
func (c *Core) queueUp(t *openTask) {
	if !c.queue.Has(t.row.ID) {
		c.queue.Push(t.item())
		c.touchedInQueue++
	}
	c.pending = true
}

func (c *Core) dequeue(t *openTask) {
	if c.queue.Remove(t.row.ID) {
		c.touchedInQueue--
	}
}

// due puts the retries into the queue whose time has come.
func (c *Core) due() {
	waiting := c.later
	c.later = nil
	for _, t := range waiting {
		if t.row.State == task.Queued && c.tasks[t.row.ID] == t {
			c.enqueue(t)
		}
	}
}

// unqueue takes a task out of wherever it waits.
func (c *Core) unqueue(t *openTask) {
	if t.reserved != nil {
		c.unreserve(t.reserved)
	}
	c.dequeue(t) // in later it is found to be gone when its time comes
}

// move changes a task's state; everything that changes it comes through here.
func (c *Core) move(t *openTask, to task.State) {
	if t.row.State != to {
		if !t.row.State.May(to) {
			panic(fmt.Sprintf("task %s: %s → %s is not a legal move", t.row.ID, t.row.State, to))
		}
		c.counts.state(t.row.State, -1)
		c.counts.state(to, 1)
		t.row.State = to
	}
	c.batch.Task(t.row)
	c.touched = append(c.touched, t.row.ID)
}

// conclude ends the newest attempt and takes it from its device.
func (c *Core) conclude(t *openTask, outcome task.Outcome, reason string) {
	if t.last != nil {
		now := c.now
		t.last.Outcome, t.last.Reason, t.last.Finished = outcome, reason, &now
		c.batch.Attempt(*t.last)
	}
	if d := t.device; d != nil {
		d.drop(t)
		c.update(d)
		c.pending = true
	}
	t.progress = ""
}

// finish ends a task.
func (c *Core) finish(t *openTask, state task.State, reason string, exit *int) {
	c.unqueue(t)
	t.row.Reason, t.row.ExitCode, t.row.Finished, t.row.Eligible = reason, exit, c.now, time.Time{}
	c.move(t, state)
	delete(c.tasks, t.row.ID)
	c.bodies.drop(t.row.ID)
	c.counts.ended(state, c.now)
	e := cluster.Event{Kind: cluster.TaskEnded, Task: t.row.ID, Job: t.job, State: state, Reason: reason, ExitCode: exit, Output: t.row.Output}
	if t.last != nil {
		e.Attempt, e.Device = t.last.Number, t.last.Device
	}
	c.event(e)
}

// requeue lets a task wait again.
func (c *Core) requeue(t *openTask, reason string, after time.Duration) {
	e := cluster.Event{Kind: cluster.TaskRequeued, Task: t.row.ID, Job: t.job, Reason: reason}
	if t.last != nil {
		e.Attempt, e.Device = t.last.Number, t.last.Device
		if t.last.Outcome == task.AttemptReleased && t.last.Started == nil {
			e.Kind = cluster.TaskReturned
		}
	}
	c.event(e)
	c.counts.requeued++
	t.row.Reason = reason
	t.row.Eligible = time.Time{}
	if after > 0 {
		t.row.Eligible = c.now.Add(after)
	}
	c.move(t, task.Queued)
	c.enqueue(t)
}

// loss is how an attempt left its device without a result.
type loss int

const (
	notBegun  loss = iota // it was certainly not begun
	stopped               // it was begun and has been ended, not by its own doing
	abandoned             // it may be running still, on a device that the cluster does not speak with any more
	lost                  // it may have begun; it certainly does not run once its device's lease is over, and may have taken the device down
)

// lose takes an attempt from a device that does not have it any more, or gives it up. Every way of losing one comes through
// here.
func (c *Core) lose(t *openTask, reason string, how loss) {
	if how != notBegun && t.policy.AtMostOnce {
		outcome := task.AttemptLost
		if how == abandoned { // see mayRunStill
			outcome = task.AttemptReleased
		}
		c.conclude(t, outcome, reason)
		c.finish(t, task.Failed, "outcome_unknown: it runs at most once, and "+reason, nil)
		return
	}
	switch how {
	case notBegun, stopped:
		c.concede(t, reason, 0)
		return
	case abandoned:
		wait := time.Duration(0)
		if t.policy.Exclusive { // by then its device has ended it
			wait = c.set.Lease()
		}
		c.concede(t, reason, wait)
		return
	}
	t.row.Losses++
	c.counts.lost++
	c.conclude(t, task.AttemptLost, reason)
	if t.row.Losses >= lostLimit {
		c.finish(t, task.Failed, fmt.Sprintf("lost_limit: it was lost with its device %d times, the last because %s", t.row.Losses, reason), nil)
		return
	}
	c.requeue(t, reason, 0)
}

// concede takes an attempt back without blame.
func (c *Core) concede(t *openTask, reason string, wait time.Duration) {
	c.conclude(t, task.AttemptReleased, reason)
	c.requeue(t, reason, wait)
}

// adopt makes the core believe what a device holds: an attempt that it was given up for is taken back as it is, and one whose start
// was not heard of has started.
func (c *Core) adopt(t *openTask, d *machine, state wire.HeldState) {
	if t.device == nil {
		c.unqueue(t)
		t.number = 0
		if t.last.Outcome == task.AttemptLost {
			t.row.Losses = max(0, t.row.Losses-1)
		}
		t.last.Outcome, t.last.Reason, t.last.Finished = task.AttemptLeased, "", nil
		t.row.Eligible, t.row.Reason = time.Time{}, ""
		d.hold(t)
		c.batch.Attempt(*t.last)
		c.move(t, task.Assigned)
		c.update(d)
	}
	if state != wire.HeldWaiting && t.row.State == task.Assigned {
		c.start(t)
	}
}
