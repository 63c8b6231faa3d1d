package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// history is what the witnesses have seen. It judges nothing while it grows; judge does, at the end.
type history struct {
	mu sync.Mutex

	// What clients were told.
	acks      []ack
	cancelled map[task.ID]time.Time // when the cancel was acknowledged that ended the task
	told      []told
	snapshots []snapshot
	followed  [][]cluster.Event // by follower, from the first event on

	// What processes did.
	starts   []start
	ends     map[attempt]bool
	overlaps []attempt // found that another attempt of the task still ran
	zombies  []string  // processes that were there though nobody wanted them any more
	held     []string  // what devices still held or spooled when everything was over

	// How it stood in the end.
	final   map[task.ID]task.Task // with all attempts
	outputs map[task.ID]string    // as they were recorded
	printed map[attempt]string    // as the process wrote them elsewhere; of others the line is known that they print
	events  []cluster.Event

	// What was to be expected.
	poison  map[string]bool // keys of tasks that kill their worker
	once    map[string]bool // keys of tasks that run at most once
	fates   []fate
	lease   time.Duration
	ridden  bool // nothing happened that may move a task from one device to another
	nothing bool // not even a task that was leased and never sent
}

// attempt is one run of a task.
type attempt struct {
	task   task.ID
	number int
}

func (a attempt) String() string { return fmt.Sprintf("%s, attempt %d", a.task, a.number) }

// ack is an acknowledged submission of one task.
type ack struct {
	key string
	id  task.ID
}

// told is a task that a client was told to be over.
type told struct {
	task    task.ID
	state   task.State
	attempt int
}

// snapshot is an overview, with how many tasks were acknowledged before it was asked for and sent before it came.
type snapshot struct {
	tasks           map[string]int64
	atLeast, atMost int64
}

// start is a process that began to run.
type start struct {
	attempt
	device string
	pid    int
}

// fate is a device that the main node could not hear: from the last moment at which it may have, until it could again.
type fate struct {
	device   string
	from, to time.Time
}

func newHistory() *history {
	return &history{cancelled: map[task.ID]time.Time{}, ends: map[attempt]bool{}, final: map[task.ID]task.Task{}, outputs: map[task.ID]string{},
		printed: map[attempt]string{}, poison: map[string]bool{}, once: map[string]bool{}}
}

// Limits of the product that a history is judged by.
const (
	lostLimit  = 3
	requeuedBy = 10 * time.Second // after the end of the lease
)

// invariants are those of reliability.md that a history of real processes shows. Each says what is wrong.
var invariants = []struct {
	name  string
	judge func(h *history) []string
}{
	{"I1", (*history).nothingLost},
	{"I2", (*history).oneTaskAKey},
	{"I3", (*history).numbered},
	{"I4", (*history).endedOnce},
	{"I5", (*history).lastCounts},
	{"I6", (*history).sameOutput},
	{"I7", (*history).leasedFirst},
	{"I8", (*history).startedOnce},
	{"I9", (*history).neverTwiceAtOnce},
	{"I10", (*history).noZombies},
	{"I11", (*history).finalIsFinal},
	{"I14", (*history).countsAddUp},
	{"I15", (*history).gapless},
	{"I16", (*history).poisonStops},
	{"I19", (*history).nothingMoved},
	{"I20", (*history).movedInTime},
}

const mostComplaints = 5 // of one invariant

// judge lists what is wrong, each with the invariant that it breaks.
func (h *history) judge() (wrong []string) {
	for _, i := range invariants {
		found := i.judge(h)
		for n, text := range found {
			if n == mostComplaints {
				wrong = append(wrong, fmt.Sprintf("%s: and %d more", i.name, len(found)-n))
				break
			}
			wrong = append(wrong, i.name+": "+text)
		}
	}
	return wrong
}

// order is the tasks in the order of submission.
func (h *history) order() []task.ID { return slices.Sorted(maps.Keys(h.final)) }

func (h *history) startsOf() map[attempt]int {
	n := map[attempt]int{}
	for _, s := range h.starts {
		n[s.attempt]++
	}
	return n
}

// nothingLost: what was acknowledged exists, and is over. That it is over says liveness (I12) too: a lane waits only so long.
func (h *history) nothingLost() (wrong []string) {
	for _, a := range h.acks {
		switch t, ok := h.final[a.id]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("task %s (%s) was acknowledged, and is not there", a.id, a.key))
		case !t.State.Ended():
			wrong = append(wrong, fmt.Sprintf("task %s (%s) is %s for ever, in attempt %d on %s: %s %s", a.id, a.key, t.State, t.Attempt, t.Device, t.Reason, t.Waiting))
		}
	}
	return wrong
}

// oneTaskAKey: however often a key is sent it is the same task, and no two keys are one.
func (h *history) oneTaskAKey() (wrong []string) {
	tasks, keys := map[string]task.ID{}, map[task.ID]string{}
	for _, a := range h.acks {
		if was, ok := tasks[a.key]; ok && was != a.id {
			wrong = append(wrong, fmt.Sprintf("%s is task %s, and was task %s", a.key, a.id, was))
		}
		if was, ok := keys[a.id]; ok && was != a.key {
			wrong = append(wrong, fmt.Sprintf("task %s is %s, and was %s", a.id, a.key, was))
		}
		tasks[a.key], keys[a.id] = a.id, a.key
	}
	for _, id := range h.order() {
		if _, ok := keys[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("task %s is there, and nobody submitted it", id))
		}
	}
	return wrong
}

// numbered: attempts are 1, 2, 3…, and none is open when the task is over.
func (h *history) numbered() (wrong []string) {
	for _, id := range h.order() {
		t := h.final[id]
		if len(t.Attempts) != t.Attempt {
			wrong = append(wrong, fmt.Sprintf("task %s has %d attempts, and its newest is number %d", id, len(t.Attempts), t.Attempt))
		}
		for i, a := range t.Attempts {
			if a.Number != i+1 || t.State.Ended() && a.Outcome.Open() {
				wrong = append(wrong, fmt.Sprintf("task %s is %s, and its attempt %d has the number %d and is %s", id, t.State, i+1, a.Number, a.Outcome))
			}
		}
	}
	return wrong
}

// endedOnce: there is one end of each task among the events, the one that it has.
func (h *history) endedOnce() (wrong []string) {
	ended := map[task.ID][]task.State{}
	for _, e := range h.events {
		if e.Kind == cluster.TaskEnded {
			ended[e.Task] = append(ended[e.Task], e.State)
		}
	}
	for _, id := range h.order() {
		if t := h.final[id]; t.State.Ended() && !slices.Equal(ended[id], []task.State{t.State}) {
			wrong = append(wrong, fmt.Sprintf("task %s is %s, and the events say that it has ended as %v", id, t.State, ended[id]))
		}
	}
	return wrong
}

// lastCounts: what the task is, its newest attempt was; no earlier one completed.
func (h *history) lastCounts() (wrong []string) {
	for _, id := range h.order() {
		t := h.final[id]
		for _, a := range t.Attempts {
			state, ended := a.Outcome.State()
			switch {
			case a.Number < t.Attempt && state == task.Completed:
				wrong = append(wrong, fmt.Sprintf("task %s: attempt %d completed it, and there was another", id, a.Number))
			case a.Number == t.Attempt && t.State == task.Completed && (!ended || state != task.Completed):
				wrong = append(wrong, fmt.Sprintf("task %s is completed, and its newest attempt is %s", id, a.Outcome))
			}
		}
	}
	return wrong
}

// sameOutput: what is recorded is what the process of the newest attempt printed, and the worker has handed in all that it had.
func (h *history) sameOutput() (wrong []string) {
	pids, keys := map[attempt]int{}, map[task.ID]string{}
	for _, s := range h.starts {
		pids[s.attempt] = s.pid
	}
	for _, a := range h.acks {
		keys[a.id] = a.key
	}
	for _, id := range h.order() {
		t := h.final[id]
		if t.State != task.Completed {
			continue
		}
		last := attempt{id, t.Attempt}
		want, ok := h.printed[last]
		if !ok {
			want = fmt.Sprintf("%s %d %d\n", keys[id], t.Attempt, pids[last])
		}
		if got := h.outputs[id]; got != want {
			wrong = append(wrong, fmt.Sprintf("%s printed %d bytes, %.80q, and %d are recorded, %.80q", last, len(want), want, len(got), got))
		}
		if !h.ends[last] {
			wrong = append(wrong, fmt.Sprintf("%s is completed, and never came to its end", last))
		}
	}
	return append(wrong, h.held...)
}

// leasedFirst: no process runs but for an attempt that the main node gave to that device.
func (h *history) leasedFirst() (wrong []string) {
	for _, s := range h.starts {
		t, ok := h.final[s.task]
		if !ok || s.number < 1 || s.number > len(t.Attempts) || t.Attempts[s.number-1].Device != s.device {
			wrong = append(wrong, fmt.Sprintf("%s ran on %s, which was not given it", s.attempt, s.device))
		}
	}
	return wrong
}

// startedOnce: no attempt starts twice; and a task that shall run at most once does, or else says that nobody knows.
func (h *history) startedOnce() (wrong []string) {
	starts := map[task.ID]int{}
	for a, n := range h.startsOf() {
		if starts[a.task] += n; n > 1 {
			wrong = append(wrong, fmt.Sprintf("%s was started %d times", a, n))
		}
	}
	for _, a := range h.acks {
		t := h.final[a.id]
		if h.once[a.key] && (starts[a.id] > 1 || t.State == task.Failed && !strings.Contains(t.Reason, "outcome_unknown")) {
			wrong = append(wrong, fmt.Sprintf("task %s is to run at most once, was started %d times and is %s: %s", a.id, starts[a.id], t.State, t.Reason))
		}
	}
	return wrong
}

func (h *history) neverTwiceAtOnce() (wrong []string) {
	for _, a := range h.overlaps {
		wrong = append(wrong, fmt.Sprintf("%s began while another attempt of it still ran", a))
	}
	return wrong
}

func (h *history) noZombies() []string { return h.zombies }

// finalIsFinal: what a client was told to be over stays as it was told, and nothing is given out after a cancel was acknowledged.
func (h *history) finalIsFinal() (wrong []string) {
	for _, w := range h.told {
		if t := h.final[w.task]; t.State != w.state || t.Attempt != w.attempt {
			wrong = append(wrong, fmt.Sprintf("task %s was said to be %s in attempt %d, and is %s in attempt %d", w.task, w.state, w.attempt, t.State, t.Attempt))
		}
	}
	for id, at := range h.cancelled {
		t := h.final[id]
		if t.State != task.Cancelled {
			wrong = append(wrong, fmt.Sprintf("task %s was cancelled, and is %s", id, t.State))
		}
		for _, a := range t.Attempts {
			if a.Leased.After(at) {
				wrong = append(wrong, fmt.Sprintf("task %s: attempt %d was given out %s after its cancel was acknowledged", id, a.Number, a.Leased.Sub(at)))
			}
		}
	}
	return wrong
}

// countsAddUp: every task that was submitted is in one state, in every overview.
func (h *history) countsAddUp() (wrong []string) {
	for i, s := range h.snapshots {
		sum := int64(0)
		for _, n := range s.tasks {
			sum += n
		}
		if sum < s.atLeast || sum > s.atMost {
			wrong = append(wrong, fmt.Sprintf("overview %d has %d tasks, and between %d and %d were submitted: %v", i+1, sum, s.atLeast, s.atMost, s.tasks))
		}
	}
	return wrong
}

// gapless: events have the numbers 1, 2, 3…, and those that were delivered before a crash are there after it.
func (h *history) gapless() (wrong []string) {
	for i, e := range h.events {
		if e.Seq != int64(i+1) {
			return append(wrong, fmt.Sprintf("event %d has the number %d", i+1, e.Seq))
		}
	}
	for n, events := range h.followed {
		for i, e := range events {
			if e.Seq != int64(i+1) {
				wrong = append(wrong, fmt.Sprintf("follower %d got event %d as number %d", n+1, e.Seq, i+1))
				break
			}
			if i >= len(h.events) || !sameEvent(&e, &h.events[i]) {
				wrong = append(wrong, fmt.Sprintf("follower %d got event %d (%s %s), and there is another one in the end", n+1, e.Seq, e.Kind, e.Task))
				break
			}
		}
	}
	return wrong
}

func sameEvent(a, b *cluster.Event) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && a.Task == b.Task && a.Attempt == b.Attempt && a.Device == b.Device && a.State == b.State && a.Time.Truncate(time.Second).Equal(b.Time.Truncate(time.Second))
}

// poisonStops: a task that kills its workers is set aside after some; others are not set aside but for losses of their own.
func (h *history) poisonStops() (wrong []string) {
	starts := map[task.ID]int{}
	for _, s := range h.starts {
		starts[s.task]++
	}
	for _, a := range h.acks {
		t, poison := h.final[a.id], h.poison[a.key]
		limit := strings.Contains(t.Reason, "lost_limit")
		switch {
		case poison && t.State != task.Cancelled && (t.State != task.Failed || !limit) || poison && starts[a.id] > lostLimit:
			wrong = append(wrong, fmt.Sprintf("task %s kills its worker, was started %d times and is %s: %s", a.id, starts[a.id], t.State, t.Reason))
		case !poison && limit && t.Losses < lostLimit:
			wrong = append(wrong, fmt.Sprintf("task %s was set aside after %d losses: %s", a.id, t.Losses, t.Reason))
		}
	}
	return wrong
}

// nothingMoved: where all workers stayed alive and in time, every task was started once. A lease that was committed and whose assignment
// the crash swallowed is given out again as another attempt, which is the first that starts.
func (h *history) nothingMoved() (wrong []string) {
	if !h.ridden {
		return nil
	}
	starts := map[task.ID]int{}
	for _, s := range h.starts {
		starts[s.task]++
	}
	for _, id := range h.order() {
		t := h.final[id]
		if starts[id] > 1 || t.State == task.Completed && starts[id] != 1 || h.nothing && t.Attempt > 1 {
			wrong = append(wrong, fmt.Sprintf("task %s was started %d times, in %d attempts: %s", id, starts[id], t.Attempt, reasons(&t)))
		}
	}
	return wrong
}

// movedInTime: an attempt is lost only while its device cannot be heard for a whole lease, and soon after that.
func (h *history) movedInTime() (wrong []string) {
	if h.lease == 0 {
		return nil
	}
	for _, id := range h.order() {
		t := h.final[id]
		for _, a := range t.Attempts {
			if a.Outcome != task.AttemptLost || a.Finished == nil || a.Started == nil {
				continue
			}
			if !slices.ContainsFunc(h.fates, func(f fate) bool { return f.device == a.Device && f.explains(*a.Finished, h.lease) }) {
				wrong = append(wrong, fmt.Sprintf("task %s: attempt %d on %s was lost at %s (%s), which no silence of it explains", id, a.Number, a.Device,
					a.Finished.Format("15:04:05.000"), a.Reason))
			}
		}
	}
	return wrong
}

// explains says whether a device may lose its attempts at that time.
func (f *fate) explains(at time.Time, lease time.Duration) bool {
	const slack = 600 * time.Millisecond // the last word before that may have been a heartbeat ago
	silence := at.Sub(f.from)
	return f.to.Sub(f.from) >= lease-slack && silence >= lease-slack && silence <= lease+requeuedBy
}

func reasons(t *task.Task) string {
	var all []string
	for _, a := range t.Attempts {
		all = append(all, fmt.Sprintf("%d on %s %s %s", a.Number, a.Device, a.Outcome, a.Reason))
	}
	return strings.Join(all, "; ")
}
