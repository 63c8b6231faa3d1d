package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// The figures that a history is held against.
var leaseTime = func() time.Duration { s := mainnode.Defaults(); return s.Lease() }()

const (
	slack     = 10 * time.Second // between the end of a lease and what follows from it
	killTime  = 12 * time.Second // from hearing that an attempt is not wanted to its end
	afterWake = 2 * time.Second  // in which programs of a device that slept may still be there
	lostLimit = 3                // devices that may die under a task
)

// violation is an invariant that did not hold.
type violation struct{ invariant, text string }

func (v *violation) String() string { return v.invariant + ": " + v.text }

// judge reads a history and says what in it must not be.
type judge struct {
	now     time.Duration
	tasks   map[task.ID]*seenTask
	runs    map[task.Lease]*seenRun
	live    map[task.Lease]*seenRun // whose programs run
	keys    map[string]task.ID
	devices map[string]*seenDevice
	byState map[task.State]int64
	added   int64 // tasks that were committed
	up      bool  // the main node
	upSince time.Duration
	event   int64 // the last that was seen
	first   *violation
}

// seenTask is what was seen of a task.
type seenTask struct {
	key                 string
	acked, cancelled    bool
	mode                mode
	state, told         task.State
	lease               task.Lease // of its newest attempt
	toldAttempt         int
	device              string
	ends, deaths, start int
}

// seenRun is what was seen of an attempt.
type seenRun struct {
	lease                              task.Lease
	device                             string
	mode                               mode
	sent, started, gaveBack, forgotten bool
	outcome                            task.Outcome // on the main node's disk
	result                             task.Outcome // in the device's spool
	verdict                            wire.Verdict
	printed                            string
	unwanted, endBy, aloneBy           time.Duration // 0: not so
}

// seenDevice is what was seen of a device.
type seenDevice struct {
	heard, slept, woke         time.Duration
	asleep, draining, vanished bool
	holds                      map[task.ID]bool // as the main node believes
}

func newJudge() *judge {
	return &judge{tasks: map[task.ID]*seenTask{}, runs: map[task.Lease]*seenRun{}, live: map[task.Lease]*seenRun{}, keys: map[string]task.ID{},
		devices: map[string]*seenDevice{}, byState: map[task.State]int64{}}
}

func (j *judge) fail(invariant, format string, args ...any) {
	if j.first == nil {
		j.first = &violation{invariant, fmt.Sprintf(format, args...)}
	}
}

func (j *judge) task(id task.ID) *seenTask {
	t := j.tasks[id]
	if t == nil {
		t = &seenTask{lease: task.Lease{Task: id}}
		j.tasks[id] = t
	}
	return t
}

func (j *judge) run(l task.Lease) *seenRun {
	r := j.runs[l]
	if r == nil {
		r = &seenRun{lease: l}
		j.runs[l] = r
	}
	return r
}

func (j *judge) device(name string) *seenDevice {
	d := j.devices[name]
	if d == nil {
		d = &seenDevice{holds: map[task.ID]bool{}}
		j.devices[name] = d
	}
	return d
}

// judging is the table of what each observation says.
var judging = map[what]func(*judge, *observation){
	submitted: (*judge).submitted, cancelled: (*judge).cancelled, read: (*judge).read, snapshot: (*judge).snapshot,
	drained:     func(j *judge, o *observation) { j.device(o.device).draining = true },
	resumed:     func(j *judge, o *observation) { j.device(o.device).draining = false },
	mainStarted: (*judge).mainStarted,
	mainDied:    func(j *judge, o *observation) { j.up = false },
	heard:       func(j *judge, o *observation) { j.device(o.device).heard = o.at },
	stands:      (*judge).stands,
	added:       func(j *judge, o *observation) { j.added += int64(o.many); j.byState[task.Queued] += int64(o.many) },
	assigned:    (*judge).assigned, happened: (*judge).happened, ended: (*judge).ended, kept: (*judge).kept,
	started:  (*judge).started,
	printed:  func(j *judge, o *observation) { j.run(o.lease).printed += o.text },
	stopped:  func(j *judge, o *observation) { delete(j.live, o.lease) },
	died:     (*judge).died,
	slept:    (*judge).slept,
	woke:     (*judge).woke,
	spooled:  func(j *judge, o *observation) { j.run(o.lease).result = o.outcome },
	spoilt:   func(j *judge, o *observation) { j.run(o.lease).result = "" },
	forgot:   (*judge).forgot,
	judged:   (*judge).judged,
	gaveBack: func(j *judge, o *observation) { j.run(o.lease).gaveBack = true },
	synced:   (*judge).synced,
	vanished: func(j *judge, o *observation) { j.device(o.device).vanished = true },
	atRest:   (*judge).atRest,
	retried:  (*judge).retried,
	restored: (*judge).restored,
}

// see takes the next observation. The answer is the first thing that was wrong, now or before.
func (j *judge) see(o *observation) *violation {
	j.now = o.at
	j.overdue()
	judging[o.what](j, o)
	return j.first
}

// overdue looks for what should have happened by now.
func (j *judge) overdue() {
	for name, d := range j.devices {
		if silent := j.now - max(d.heard, j.upSince); j.up && len(d.holds) > 0 && silent > leaseTime+slack {
			j.fail("I20", "%s was not heard of for %s, and the main node leaves %d tasks to it", name, silent, len(d.holds))
		}
	}
	for l, r := range j.live {
		if r.aloneBy > 0 && j.now > r.aloneBy && !j.device(r.device).asleep {
			j.fail("I9", "attempt %v runs on %s beside another one", l, r.device)
		}
		if r.endBy > 0 && j.now > r.endBy && !j.device(r.device).asleep {
			j.fail("I10", "attempt %v runs for nobody, and %s has known that for %s", l, r.device, j.now-r.endBy+killTime)
		}
	}
}

func (j *judge) submitted(o *observation) {
	t := j.task(o.lease.Task)
	if was, ok := j.keys[o.key]; ok && was != o.lease.Task {
		j.fail("I2", "%s is task %s, and was task %s", o.key, o.lease.Task, was)
	}
	if t.key != "" && t.key != o.key {
		j.fail("I2", "task %s is %s, and was %s", o.lease.Task, o.key, t.key)
	}
	j.keys[o.key], t.key, t.acked = o.lease.Task, o.key, true
	if t.state == 0 {
		j.fail("I1", "task %s was acknowledged before it was on disk", o.lease.Task)
	}
}

func (j *judge) cancelled(o *observation) {
	t := j.task(o.lease.Task)
	t.cancelled = true
	if t.state != task.Cancelled {
		j.fail("I11", "task %s was said to be cancelled, and is %s", o.lease.Task, t.state)
	}
}

// read judges what a client is shown: nothing goes back, and nothing that was acknowledged is missing.
func (j *judge) read(o *observation) {
	id := o.lease.Task
	t := j.task(id)
	switch {
	case o.state == 0 && t.acked:
		j.fail("I13", "task %s was acknowledged, and then not to be found", id)
	case t.told.Ended() && o.state != t.told:
		j.fail("I11", "task %s was shown as %s, and then as %s", id, t.told, o.state)
	case t.cancelled && o.state != task.Cancelled:
		j.fail("I13", "task %s was cancelled, and then shown as %s", id, o.state)
	case o.lease.Attempt < t.toldAttempt:
		j.fail("I13", "task %s was shown in attempt %d, and then in attempt %d", id, t.toldAttempt, o.lease.Attempt)
	}
	t.told, t.toldAttempt = o.state, o.lease.Attempt
}

func (j *judge) snapshot(o *observation) {
	var sum int64
	for _, s := range task.States() {
		sum += o.counts[s]
		if o.counts[s] != j.byState[s] {
			j.fail("I14", "the main node counts %d tasks as %s, and there are %d", o.counts[s], s, j.byState[s])
		}
	}
	if sum != j.added {
		j.fail("I14", "the main node counts %d tasks, and %d were submitted", sum, j.added)
	}
}

func (j *judge) mainStarted(o *observation) {
	j.up, j.upSince = true, o.at
	if o.seq < j.event {
		j.fail("I15", "event %d was told, and after a restart the last one is %d", j.event, o.seq)
	}
}

func (j *judge) happened(o *observation) {
	if o.seq != j.event+1 {
		j.fail("I15", "after event %d came event %d", j.event, o.seq)
	}
	j.event = o.seq
}

func (j *judge) ended(o *observation) {
	t := j.task(o.lease.Task)
	if t.ends++; t.ends > 1 {
		j.fail("I4", "task %s has ended twice", o.lease.Task)
	}
}

// stands judges a task as it stands on the main node's disk.
func (j *judge) stands(o *observation) {
	t := j.task(o.lease.Task)
	if o.state == 0 {
		if t.acked || t.state != 0 {
			j.fail("I1", "task %s was there, and is lost", o.lease.Task)
		}
		return
	}
	j.numbers(t, o)
	if t.state.Ended() && (o.state != t.state || o.lease != t.lease) {
		j.fail("I4", "task %s was %s in attempt %d, and is %s in attempt %d", o.lease.Task, t.state, t.lease.Attempt, o.state, o.lease.Attempt)
	}
	if t.cancelled && o.state != task.Cancelled {
		j.fail("I11", "task %s was cancelled, and is %s", o.lease.Task, o.state)
	}
	if o.lease.Attempt > 0 {
		j.attempt(t, o)
	}
	was := cmp.Or(t.state, task.Queued) // as which it was added
	j.byState[was]--
	j.byState[o.state]++
	j.hold(t, o)
	t.state, t.lease, t.device, t.mode = o.state, o.lease, o.device, o.mode
	for l, r := range j.live {
		if l.Task == o.lease.Task {
			j.unwanted(r)
		}
	}
}

// numbers judges the number of the newest attempt.
func (j *judge) numbers(t *seenTask, o *observation) {
	switch was, is := t.lease, o.lease; {
	case is.Attempt < was.Attempt || is.Attempt > was.Attempt+1:
		j.fail("I3", "task %s: after attempt %d comes attempt %d", is.Task, was.Attempt, is.Attempt)
	case is.Attempt == was.Attempt && is.Attempt > 0 && is.Token != was.Token:
		j.fail("I3", "task %s: attempt %d was given out twice", is.Task, is.Attempt)
	}
}

// attempt judges how the newest attempt stands.
func (j *judge) attempt(t *seenTask, o *observation) {
	r := j.run(o.lease)
	r.device, r.mode = o.device, o.mode
	result := o.outcome == task.AttemptCompleted || o.outcome == task.AttemptFailed || o.outcome == task.AttemptTimedOut
	if result && r.outcome != o.outcome && r.result != o.outcome {
		j.fail("I5", "attempt %v stands as %s, and its device has ended it as %q", o.lease, o.outcome, r.result)
	}
	if o.state == task.Completed && o.outcome != task.AttemptCompleted {
		j.fail("I5", "task %s is completed, and its newest attempt is %s", o.lease.Task, o.outcome)
	}
	if o.outcome == task.AttemptLost && r.outcome.Open() {
		j.lost(t, r)
	}
	if o.state == task.Queued && o.outcome == task.AttemptLost && o.mode.once && r.started && r.outcome.Open() {
		j.fail("I8", "task %s runs at most once, attempt %d had begun, and it waits again", o.lease.Task, o.lease.Attempt)
	}
	r.outcome = o.outcome
}

// lost judges that a device lost an attempt: only one that is silent, or does not have it any more, may lose it.
func (j *judge) lost(t *seenTask, r *seenRun) {
	d := j.device(r.device)
	silent := j.now - max(d.heard, j.upSince)
	has := j.live[r.lease] != nil || r.result != "" && !cutShort(r.result) && !r.forgotten
	switch {
	case r.gaveBack && !r.mode.once:
		j.fail("I18", "attempt %v was given back by %s, and counts as lost", r.lease, r.device)
	case has && silent < leaseTime:
		j.fail("I19", "attempt %v was taken from %s, which has it, and was silent for %s only", r.lease, r.device, silent)
	}
}

// cutShort says whether an outcome is that of an attempt that was ended by its device, which tells of that as of any other result.
func cutShort(o task.Outcome) bool { return o == task.AttemptLost || o == task.AttemptReleased }

// hold keeps which tasks the main node leaves to which device.
func (j *judge) hold(t *seenTask, o *observation) {
	if t.device != "" {
		delete(j.device(t.device).holds, o.lease.Task)
	}
	if o.device != "" && (o.state == task.Assigned || o.state == task.Running) {
		j.device(o.device).holds[o.lease.Task] = true
	}
}

// unwanted notes since when nobody wants to know how an attempt ends.
func (j *judge) unwanted(r *seenRun) {
	if t := j.tasks[r.lease.Task]; t != nil && (t.state.Ended() || t.lease != r.lease) {
		r.unwanted = cmp.Or(r.unwanted, j.now)
	}
}

func (j *judge) assigned(o *observation) {
	t, r := j.task(o.lease.Task), j.run(o.lease)
	switch {
	case t.lease != o.lease || r.outcome == "":
		j.fail("I7", "attempt %v left before it was on disk", o.lease)
	case t.cancelled:
		j.fail("I11", "attempt %v left after its task's cancel was acknowledged", o.lease)
	case r.sent:
		j.fail("I3", "attempt %v left twice", o.lease)
	case j.device(o.device).draining:
		j.fail("I18", "attempt %v was given to %s, which drains", o.lease, o.device)
	}
	r.sent = true
}

func (j *judge) started(o *observation) {
	t, r := j.task(o.lease.Task), j.run(o.lease)
	switch {
	case r.outcome == "" || !r.sent:
		j.fail("I7", "attempt %v was started, and was never on disk", o.lease)
	case r.started:
		j.fail("I8", "attempt %v was started twice", o.lease)
	case t.mode.once && t.start > 0:
		j.fail("I8", "task %s runs at most once, and attempt %d is its second start", o.lease.Task, o.lease.Attempt)
	}
	if t.mode.exclusive {
		j.alone(r)
	}
	t.start++
	r.started, r.device = true, o.device
	j.live[o.lease] = r
	j.unwanted(r)
}

// alone judges that no other program of an exclusive task runs. One on a device that sleeps does not run; when it wakes up it has a moment to end.
func (j *judge) alone(r *seenRun) {
	for l, other := range j.live {
		if d := j.device(other.device); l.Task == r.lease.Task && l != r.lease && !d.asleep && !(d.woke > 0 && j.now-d.woke <= afterWake) {
			j.fail("I9", "attempt %v was started, and attempt %d still runs on %s", r.lease, l.Attempt, other.device)
		}
	}
}

// died judges how often devices die under a task, and lets the device's programs end with it.
func (j *judge) died(o *observation) {
	last := 0
	for _, l := range j.liveOn(o.device) {
		delete(j.live, l)
		if t := j.task(l.Task); t.lease == l && !t.state.Ended() {
			t.deaths++
			if t.deaths == lostLimit {
				last++
			}
			if t.deaths > lostLimit {
				j.fail("I16", "task %s has taken %d devices down", l.Task, t.deaths)
			}
		}
	}
	if last > 1 {
		j.fail("I16", "%s died under %d tasks, and it was the last chance of all of them", o.device, last)
	}
}

func (j *judge) liveOn(device string) (ls []task.Lease) {
	for l, r := range j.live {
		if r.device == device {
			ls = append(ls, l)
		}
	}
	return ls
}

func (j *judge) slept(o *observation) {
	d := j.device(o.device)
	d.asleep, d.slept = true, o.at
}

func (j *judge) woke(o *observation) {
	d := j.device(o.device)
	d.asleep, d.woke = false, o.at
	for _, l := range j.liveOn(o.device) {
		r := j.live[l]
		if r.endBy > 0 {
			r.endBy += o.at - d.slept
		}
		for other, s := range j.live { // a moment from now only one of them may be there
			if r.mode.exclusive && other.Task == l.Task && other != l && !j.device(s.device).asleep {
				r.aloneBy = o.at + afterWake
			}
		}
	}
}

func (j *judge) judged(o *observation) {
	r := j.run(o.lease)
	r.verdict = o.verdict
	_, over := r.outcome.State()
	over = over || cutShort(r.outcome) && cutShort(r.result)
	switch t := j.task(o.lease.Task); {
	case (o.verdict == wire.Recorded || o.verdict == wire.Duplicate) && !over:
		j.fail("I6", "attempt %v was said to be %s, and stands as %q", o.lease, o.verdict, r.outcome)
	case o.verdict == wire.Stale && t.lease == o.lease && r.outcome.Open():
		j.fail("I5", "attempt %v counts, and its result was said to be stale", o.lease)
	case o.verdict == wire.Unknown && r.outcome != "":
		j.fail("I6", "attempt %v is known, and was said to be unknown", o.lease)
	}
}

// retried lets a task begin anew: what was said of its end is over.
func (j *judge) retried(o *observation) {
	t := j.task(o.lease.Task)
	j.byState[t.state]--
	j.byState[task.Queued]++
	t.state, t.told, t.cancelled, t.ends, t.deaths, t.start = task.Queued, 0, false, 0, 0, 0
}

func (j *judge) forgot(o *observation) {
	r := j.run(o.lease)
	r.forgotten = true
	if !r.verdict.Final() {
		j.fail("I6", "the result of attempt %v left the spool without a verdict", o.lease)
	}
}

func (j *judge) synced(o *observation) {
	for _, l := range j.liveOn(o.device) {
		if r := j.live[l]; r.unwanted > 0 && r.unwanted <= o.since && r.endBy == 0 {
			r.endBy = o.at + killTime
		}
	}
}

// restored forgets what the main node was seen to know: its disk is put back to what it was.
func (j *judge) restored(o *observation) {
	j.tasks, j.keys, j.byState, j.added, j.event = map[task.ID]*seenTask{}, map[string]task.ID{}, map[task.State]int64{}, 0, o.seq
	for _, r := range j.runs {
		r.outcome, r.sent = "", false
		r.unwanted = cmp.Or(r.unwanted, j.now)
	}
	for _, d := range j.devices {
		clear(d.holds)
	}
}

// kept holds what is kept of an attempt that counted against what its program printed.
func (j *judge) kept(o *observation) {
	if want := j.run(o.lease).printed; o.text != want {
		j.fail("I5", "attempt %v printed %d bytes, and %d other ones are kept", o.lease, len(want), len(o.text))
	}
}

// atRest judges what there is in the end.
func (j *judge) atRest(*observation) {
	for _, id := range slices.Sorted(maps.Keys(j.tasks)) {
		t := j.tasks[id]
		switch {
		case t.state == 0 && t.acked:
			j.fail("I1", "task %s was acknowledged and is lost", id)
		case t.state == 0: // of a verdict on what the main node does not know
		case !t.state.Ended():
			j.fail("I12", "task %s is %s for ever, in attempt %d on %s", id, t.state, t.lease.Attempt, t.device)
		case t.ends != 1:
			j.fail("I4", "task %s has ended %d times", id, t.ends)
		}
	}
	for l, r := range j.live {
		j.fail("I10", "attempt %v runs on %s, and everything has ended", l, r.device)
	}
	for l, r := range j.runs {
		if r.result != "" && !r.forgotten && !j.device(r.device).vanished {
			j.fail("I6", "the result of attempt %v is in the spool of %s for ever", l, r.device)
		}
	}
}
