package mainnode

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// assign gives the tasks that wait to the devices that have room, one at a time to the roomiest, so that load spreads.
func (c *Core) assign() {
	if !c.pending {
		return
	}
	c.pending = false
	c.giveReserved()
	// A device that gets nothing is asked again if others got something: a task that was to avoid it may have been in the way.
	for c.giveAll() && c.queue.Len() > 0 {
	}
	c.even()
}

// giveAll gives until no device takes anything more; some says whether any did after one that did not.
func (c *Core) giveAll() (some bool) {
	for c.queue.Len() > 0 && len(c.ready) > 0 && c.broken == nil {
		if d := c.ready[0]; !c.give(d) {
			c.ready.leave(d)
			c.aside = append(c.aside, d)
		} else {
			some = some || len(c.aside) > 0
		}
	}
	for _, d := range c.aside {
		c.ready.place(d)
	}
	clear(c.aside)
	c.aside = c.aside[:0]
	return some
}

// give leases the next task to a device; false: nothing that waits is for it. One that may not wait on a device is not passed by on one without a free slot.
func (c *Core) give(d *machine) bool {
	id, ok := c.queue.Next(d.sched, c.elsewhere)
	if !ok {
		return false
	}
	t := c.task(id)
	if t == nil {
		return false
	}
	if d.free() <= 0 && !c.mayWait(t, d) {
		return false
	}
	c.dequeue(t)
	if t.lastChance() && len(d.held) > 0 {
		c.reserve(d, t)
		return true
	}
	return c.lend(d, t)
}

// lend leases a task to a device, which has a free slot.
func (c *Core) lend(d *machine, t *openTask) bool {
	id := t.row.ID
	spec, err := c.spec(t)
	if errors.Is(err, store.ErrNoSecrets) { // the disk has lost them; that is this task's trouble alone
		c.finish(t, task.Failed, "its secrets are lost: submit it again", nil)
		return true
	}
	if err != nil {
		c.broken = fmt.Errorf("read what to run: %w", err)
		return false
	}
	t.row.Attempt = c.fork.next(id, t.row.Attempt)
	t.row.Device = d.row.ID
	t.row.Output, t.row.Reason = 0, ""
	t.last = &store.Attempt{Task: id, Lease: c.lease(), Attempt: task.Attempt{Number: t.row.Attempt, Device: d.row.ID, Outcome: task.AttemptLeased, Leased: c.now}}
	d.hold(t)
	s := d.session
	s.assigns++
	t.number, t.told, t.recalled = s.assigns, false, false
	c.batch.Attempt(*t.last)
	c.move(t, task.Assigned)
	c.counts.assigned++
	c.update(d)
	c.say(s.id, wire.Message{Type: wire.TypeTaskAssign, Target: d.row.ID, Body: wire.Assign{Number: t.number, Task: wire.AssignedTask{Lease: t.lease(), Spec: spec}}})
	return true
}

// elsewhere says whether a device other than the avoided one could take the task now.
func (c *Core) elsewhere(it scheduler.Item) bool {
	could := func(d *machine) bool {
		return d.free() > 0 && d.row.ID != it.Avoid && scheduler.WhyNot(it.Type, &it.Needs, d.row.ID, &d.row.Profile) == ""
	}
	return slices.ContainsFunc(c.ready, could) || slices.ContainsFunc(c.aside, could)
}

// spec is the task as it is sent to a worker.
func (c *Core) spec(t *openTask) (s task.Spec, err error) {
	s = task.Spec{Type: t.taskType, Priority: t.priority, Requirements: *t.needs, Policy: *t.policy}
	id := t.row.ID
	added, pending := c.batch.Added(id)
	stored, known := c.bodies.get(id)
	if known {
		c.bodies.drop(id)
	} else if pending {
		stored = added
	} else {
		var read task.Task
		read, err = c.db.Task(c.ctx, id)
		stored.Spec = read.Spec
	}
	s.Payload, s.Timeout, s.Provision = stored.Spec.Payload, stored.Spec.Timeout, stored.Spec.Provision
	if s.Secrets == nil || err != nil {
		return s, err
	}
	secrets := added.Secrets
	if !pending {
		secrets, err = c.db.Secrets(c.ctx, id)
	}
	s.Secrets = &secrets
	return s, err
}

// current is the open task whose newest attempt l is, held by the session's device; nil: it is not.
func (c *Core) current(s *session, l task.Lease) *openTask {
	t := c.tasks[l.Task]
	if t == nil || t.device != s.device || t.lease() != l {
		return nil
	}
	return t
}

// accept notes that an attempt runs.
func (c *Core) accept(s *session, l task.Lease) {
	t := c.current(s, l)
	if t == nil || t.row.State != task.Assigned {
		return
	}
	c.start(t)
}

func (c *Core) start(t *openTask) {
	now := c.now
	t.last.Outcome, t.last.Started = task.AttemptRunning, &now
	if t.row.Started.IsZero() {
		t.row.Started = now
		waited := now.Sub(t.submitted)
		c.counts.waited += waited
		c.counts.waits.add(t.taskType, waited.Seconds())
	}
	c.batch.Attempt(*t.last)
	c.move(t, task.Running)
	c.event(cluster.Event{Kind: cluster.TaskStarted, Task: t.row.ID, Job: t.job, Attempt: t.last.Number, Device: t.last.Device})
}

func (c *Core) progress(s *session, p *wire.Progress) {
	if t := c.current(s, p.Lease); t != nil && len(p.Text) <= 200 {
		t.progress = p.Text
		c.touched = append(c.touched, t.row.ID)
	}
}

// output takes a piece of what an attempt printed, if it is the next.
func (c *Core) output(s *session, o *wire.Output) error {
	t := c.current(s, o.Lease)
	if t == nil {
		return nil
	}
	chunk, err := o.Chunk()
	if err == nil {
		c.keep(t, chunk)
	}
	return err
}

// keep stores the part of a chunk that is new, unless that would leave a gap.
func (c *Core) keep(t *openTask, chunk task.Chunk) {
	have := t.last.Output
	if chunk.Position > have || chunk.End() <= have {
		return
	}
	chunk.Data, chunk.Position = chunk.Data[have-chunk.Position:], have
	c.batch.Output(t.row.ID, t.last.Number, chunk)
	c.counts.output += int64(len(chunk.Data))
	t.last.Output = chunk.End()
	t.row.Output = t.last.Output
	c.batch.Attempt(*t.last)
	c.batch.Task(t.row)
	c.touched = append(c.touched, t.row.ID)
}

// result judges an attempt's result. Only the newest attempt's counts, and only once.
func (c *Core) result(s *session, r *wire.Result) (any, error) {
	c.wants(s.device, r.Ahead)
	t := c.tasks[r.Task]
	_, ended := withoutResult[r.Status]
	if t == nil || !t.lastIs(r.Lease, s.device.row.ID) || ended && t.device == nil { // that it was lost is known
		v, err := c.judgeLate(s, t, r.Lease)
		return wire.Judged{Lease: r.Lease, Verdict: v}, err
	}
	inline := int64(len(r.Result.Output) + len(r.Result.ErrorOutput))
	if r.OutputBytes < inline { // a simple worker sends all of it here
		r.OutputBytes = t.last.Output + inline
	}
	at := r.OutputBytes - inline
	if at > t.last.Output {
		return wire.Judged{Lease: r.Lease, Verdict: wire.Resend, OutputBytes: t.last.Output}, nil
	}
	after := time.Duration(r.Wall * float64(time.Second))
	rest := []task.Chunk{{Position: at, Stream: task.Stdout, After: after, Data: []byte(r.Result.Output)},
		{Position: at + int64(len(r.Result.Output)), Stream: task.Stderr, After: after, Data: []byte(r.Result.ErrorOutput)}}
	if at == 0 && inline > 0 && inline <= wire.MaxInline && t.last.Output == 0 { // this is all that it printed
		c.printed = append(c.printed, printed{r.Task, r.Attempt, slices.DeleteFunc(slices.Clone(rest), func(k task.Chunk) bool { return len(k.Data) == 0 })})
	}
	for _, chunk := range rest {
		c.keep(t, chunk)
	}
	c.record(t, r.Outcome())
	return wire.Judged{Lease: r.Lease, Verdict: wire.Recorded}, nil
}

// withoutResult are the outcomes of attempts that their device has ended, with what that means for the task.
var withoutResult = map[task.Outcome]loss{task.AttemptLost: lost, task.AttemptReleased: stopped}

// judgeLate judges a result that is not that of an open task's newest attempt.
func (c *Core) judgeLate(s *session, t *openTask, l task.Lease) (wire.Verdict, error) {
	var a *store.Attempt
	if t != nil && t.last != nil && t.lease() == l {
		a = t.last
	} else if stored, ok := c.batch.PendingAttempt(l.Task, l.Attempt); ok {
		a = &stored
	} else {
		stored, ok, err := c.db.Attempt(c.ctx, l.Task, l.Attempt)
		if err != nil {
			return "", err
		}
		if !ok {
			c.orphan(s, l)
			return wire.Unknown, nil
		}
		a = &stored
	}
	switch _, ended := a.Outcome.State(); {
	case a.Lease == l.Token && a.Device != s.device.row.ID:
		return "", wire.Errorf(wire.ErrForbidden, "task %s, attempt %d: it is another device's", l.Task, l.Attempt)
	case a.Lease == l.Token && ended && a.Outcome != task.AttemptCancelled:
		return wire.Duplicate, nil
	}
	c.counts.stale++
	return wire.Stale, nil
}

// orphan notes that a device has the result of an attempt that is not known here, as after the restore of a backup: it keeps that.
func (c *Core) orphan(s *session, l task.Lease) {
	c.counts.orphans++
	c.event(cluster.Event{Kind: cluster.ResultOrphaned, Device: s.device.row.ID, Task: l.Task, Attempt: l.Attempt})
}

// record takes a result that counts.
func (c *Core) record(t *openTask, r task.Result) {
	if t.row.State == task.Assigned || t.row.State == task.Queued {
		c.unqueue(t)
		c.start(t)
	}
	if how, ended := withoutResult[r.Status]; ended {
		if how == stopped {
			r.Reason = givenBack(r.Reason)
		}
		t.told = true
		c.lose(t, r.Reason, how)
		return
	}
	holder := c.devices[t.last.Device]
	if holder != nil {
		holder.ran(&r)
	}
	t.last.ExitCode, t.last.Wall, t.last.Metrics, t.last.Files = r.ExitCode, r.Wall, r.Metrics, r.Files
	c.counts.ran += time.Duration(r.Wall * float64(time.Second))
	c.counts.runs.add(t.taskType, r.Wall)
	state, ok := r.Status.State()
	if !ok {
		state, r.Status = task.Failed, task.AttemptFailed
	}
	c.conclude(t, r.Status, r.Reason)
	c.tally(holder, state)
	if state == task.Completed || state == task.Cancelled {
		c.finish(t, state, r.Reason, r.ExitCode)
		return
	}
	t.row.Failures++
	if t.row.Failures > t.retries || !t.policy.Again(r.ExitCode) {
		c.finish(t, state, r.Reason, r.ExitCode)
		return
	}
	wait := t.policy.Wait(t.row.Failures)
	c.requeue(t, fmt.Sprintf("%s; again in %s", r.Reason, wait), wait)
}

// tally counts what a device has done.
func (c *Core) tally(d *machine, state task.State) {
	if d == nil {
		return
	}
	switch state {
	case task.Completed:
		d.row.Completed++
	case task.Failed, task.TimedOut:
		d.row.Failed++
	}
	c.batch.Device(d.row)
}

// notNow is how long a task waits that its device gave back unasked, before it has begun it: it will hardly be wanted the next moment.
const notNow = 2 * time.Second

// release takes an attempt back that a worker cannot take, or gives up because it is stopped.
func (c *Core) release(s *session, r *wire.Release) {
	if t := c.current(s, r.Lease); t != nil {
		reason := givenBack(r.Reason)
		switch status, _ := s.device.status(); {
		case r.Started:
			c.lose(t, reason, stopped)
		case t.recalled || s.device.free() < 0:
			c.concede(t, reason, 0)
		case status == device.Online:
			c.concede(t, reason, notNow)
		default:
			c.lose(t, reason, notBegun)
		}
	}
}

func givenBack(reason string) string {
	if reason == "" {
		return "given back by its device"
	}
	return "given back by its device: " + reason
}

// Cancel ends a task; false: there was nothing to end. That is decided as soon as it is committed; its device, if it has one, ends the attempt when it hears of it.
func (c *Core) Cancel(id task.ID) bool {
	t := c.task(id)
	if t == nil {
		return false
	}
	if d := t.device; d != nil {
		if d.session != nil {
			c.say(d.session.id, wire.Message{Type: wire.TypeTaskCancel, Target: d.row.ID, Body: wire.Cancel{Lease: t.lease(), Reason: "cancelled"}})
		}
		c.conclude(t, task.AttemptCancelled, "cancelled")
	}
	c.finish(t, task.Cancelled, "cancelled", nil)
	return true
}

// Retry queues a task again that failed, timed out or was cancelled; false: it did not. One with secrets cannot be: they went when it ended.
func (c *Core) Retry(id task.ID) bool {
	if c.tasks[id] != nil || c.queue.Has(id) {
		return false
	}
	stored, err := c.db.Task(c.ctx, id)
	if pending, ok := c.batch.PendingTask(id); ok {
		stored.State, stored.Attempt, stored.Device = pending.State, pending.Attempt, pending.Device
	}
	if err != nil || stored.Secrets != nil || !stored.State.Ended() || !stored.State.May(task.Queued) {
		return false
	}
	stored.Payload = nil // which waits on the disk
	t := newOpenTask(id, stored.Job, &stored.Spec, stored.Submitted)
	t.row.State, t.row.Attempt, t.row.Device = stored.State, stored.Attempt, stored.Device
	if a, ok := c.batch.PendingAttempt(id, stored.Attempt); ok {
		t.last = &a
	} else if a, ok, err := c.db.Attempt(c.ctx, id, stored.Attempt); err == nil && ok {
		t.last = &a
	}
	if t.last != nil && t.last.Outcome == task.AttemptLost {
		t.last = nil // its losses are forgotten, and so is its right to come back
	}
	if t.mayRunStill() { // until its device has heard of that, or ends it by itself
		t.row.Eligible = c.now.Add(c.set.Lease())
	}
	c.tasks[id] = t
	c.event(cluster.Event{Kind: cluster.TaskRetried, Task: id, Job: t.job})
	c.move(t, task.Queued)
	c.enqueue(t)
	return true
}
