package simulation

import (
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// The tasks and attempts of the histories that are written here.
var (
	first  = task.Lease{Task: 1, Attempt: 1, Token: "one"}
	second = task.Lease{Task: 1, Attempt: 2, Token: "two"}
	none   = task.Lease{Task: 1}
)

// goodHistory is of a task that is lost with its first device and completed on its second one, while the first one still runs it.
var goodHistory = []observation{
	{what: mainStarted},
	{what: heard, device: "a"},
	{what: heard, device: "b"},
	{what: added, many: 1},
	{what: stands, lease: none, state: task.Queued},
	{what: happened, seq: 1},
	{what: submitted, lease: none, key: "k"},
	{at: 1 * time.Second, what: stands, lease: first, state: task.Assigned, device: "a", outcome: task.AttemptLeased},
	{at: 1 * time.Second, what: assigned, lease: first, device: "a"},
	{at: 2 * time.Second, what: started, lease: first, device: "a"},
	{at: 3 * time.Second, what: heard, device: "a"},
	{at: 3 * time.Second, what: stands, lease: first, state: task.Running, device: "a", outcome: task.AttemptRunning},
	{at: 4 * time.Second, what: snapshot, counts: map[task.State]int64{task.Running: 1}},
	{at: 300 * time.Second, what: heard, device: "b"},
	{at: 454 * time.Second, what: stands, lease: first, state: task.Queued, device: "a", outcome: task.AttemptLost},
	{at: 454 * time.Second, what: stands, lease: second, state: task.Assigned, device: "b", outcome: task.AttemptLeased},
	{at: 454 * time.Second, what: assigned, lease: second, device: "b"},
	{at: 454 * time.Second, what: happened, seq: 2},
	{at: 455 * time.Second, what: started, lease: second, device: "b"},
	{at: 455 * time.Second, what: printed, lease: second, text: "x"},
	{at: 460 * time.Second, what: heard, device: "a"},
	{at: 461 * time.Second, what: synced, device: "a", since: 460 * time.Second},
	{at: 470 * time.Second, what: stopped, lease: first, device: "a"},
	{at: 500 * time.Second, what: stopped, lease: second, device: "b"},
	{at: 500 * time.Second, what: spooled, lease: second, device: "b", outcome: task.AttemptCompleted},
	{at: 501 * time.Second, what: heard, device: "b"},
	{at: 501 * time.Second, what: stands, lease: second, state: task.Completed, device: "b", outcome: task.AttemptCompleted},
	{at: 501 * time.Second, what: happened, seq: 3},
	{at: 501 * time.Second, what: ended, lease: none, state: task.Completed},
	{at: 502 * time.Second, what: judged, lease: second, device: "b", verdict: wire.Recorded},
	{at: 502 * time.Second, what: forgot, lease: second, device: "b"},
	{at: 503 * time.Second, what: read, lease: second, state: task.Completed},
	{at: 504 * time.Second, what: kept, lease: second, text: "x"},
	{at: 505 * time.Second, what: mainDied},
	{at: 506 * time.Second, what: mainStarted, seq: 3},
	{at: 600 * time.Second, what: atRest},
}

// rest is the end of every history.
var end = observation{at: 601 * time.Second, what: atRest}

// without leaves observations out of the good history: those of a kind, about a lease, on a device, where these are told.
func without(what what, of task.Lease) (h []observation) {
	for _, o := range goodHistory {
		if o.what != what || of.Task != 0 && o.lease != of {
			h = append(h, o)
		}
	}
	return h
}

// until is the good history up to the first observation of a kind about a lease, and what follows then instead.
func until(what what, of task.Lease, instead ...observation) (h []observation) {
	for _, o := range goodHistory {
		if o.what == what && o.lease == of {
			break
		}
		h = append(h, o)
	}
	for _, o := range instead {
		if o.at == 0 && len(h) > 0 {
			o.at = h[len(h)-1].at
		}
		h = append(h, o)
	}
	return h
}

// in gives all observations of a task that runs in a mode.
func in(m mode, h []observation) (changed []observation) {
	for _, o := range h {
		if o.what == stands {
			o.mode = m
		}
		changed = append(changed, o)
	}
	return changed
}

// brokenHistories are the good one with something in it that must not be, and what the judge must say to that.
var brokenHistories = []struct {
	name, finds string
	history     []observation
}{
	{"a task is acknowledged and not on disk", "I1", without(stands, none)},
	{"a task vanishes from the disk", "I1", until(submitted, none, observation{what: submitted, lease: none, key: "k"}, observation{what: stands, lease: none})},
	{"one key is two tasks", "I2", until(assigned, first, observation{what: added, many: 1}, observation{what: stands, lease: task.Lease{Task: 2}, state: task.Queued},
		observation{what: submitted, lease: task.Lease{Task: 2}, key: "k"})},
	{"one task is two keys", "I2", until(assigned, first, observation{what: submitted, lease: none, key: "other"})},
	{"an attempt's number is left out", "I3", until(assigned, first, observation{what: stands, lease: task.Lease{Task: 1, Attempt: 3}, state: task.Assigned, outcome: task.AttemptLeased})},
	{"an attempt is given out under another lease", "I3", until(assigned, first, observation{what: stands, lease: task.Lease{Task: 1, Attempt: 1, Token: "x"}, state: task.Assigned})},
	{"an attempt leaves twice", "I3", until(started, first, observation{what: assigned, lease: first, device: "a"})},
	{"a task ends twice", "I4", until(judged, second, observation{what: ended, lease: none})},
	{"what has ended is queued", "I4", until(judged, second, observation{what: stands, lease: second, state: task.Queued, outcome: task.AttemptCompleted})},
	{"nobody tells that a task has ended", "I4", without(ended, none)},
	{"the result of a former attempt counts", "I5", without(spooled, second)},
	{"a task is completed by an attempt that failed", "I5", until(judged, second, observation{what: stands, lease: second, state: task.Completed, outcome: task.AttemptLost})},
	{"a result that counts is said to be stale", "I5", until(stopped, second, observation{what: judged, lease: second, verdict: wire.Stale})},
	{"output is missing", "I5", until(kept, second, observation{what: kept, lease: second, text: ""})},
	{"a result is said to be recorded and is not", "I6", until(stopped, second, observation{what: judged, lease: second, verdict: wire.Recorded})},
	{"what is known is said to be unknown", "I6", until(stopped, second, observation{what: judged, lease: second, verdict: wire.Unknown})},
	{"a result is dropped unjudged", "I6", without(judged, second)},
	{"a result stays in the spool", "I6", without(forgot, second)},
	{"an assignment leaves before its lease is on disk", "I7", without(stands, first)},
	{"a program starts that was never assigned", "I7", without(assigned, first)},
	{"an attempt is started twice", "I8", until(printed, second, observation{what: started, lease: second, device: "b"})},
	{"what runs at most once waits again", "I8", in(mode{once: true}, goodHistory)},
	{"an exclusive task runs twice at the same time", "I9", in(mode{exclusive: true}, goodHistory)},
	{"an exclusive task runs on when its device wakes up", "I9", in(mode{exclusive: true}, until(assigned, second, observation{what: slept, device: "a"}, observation{what: assigned, lease: second, device: "b"},
		observation{what: started, lease: second, device: "b"}, observation{what: woke, device: "a"}, observation{at: 460 * time.Second, what: heard, device: "b"}))},
	{"a program runs for nobody", "I10", without(stopped, first)},
	{"a program is left in the end", "I10", without(stopped, second)},
	{"a cancelled task is given out", "I11", until(assigned, second, observation{what: stands, lease: second, state: task.Cancelled, outcome: task.AttemptCancelled},
		observation{what: cancelled, lease: none}, observation{what: assigned, lease: second, device: "b"})},
	{"a cancel is acknowledged and not on disk", "I11", until(assigned, second, observation{what: cancelled, lease: none})},
	{"a client is told of another end", "I11", until(kept, second, observation{what: read, lease: second, state: task.Failed})},
	{"a task never ends", "I12", until(stopped, second, observation{what: stopped, lease: second}, end)},
	{"a client is shown a former attempt", "I13", until(stopped, second, observation{what: read, lease: second, state: task.Running}, observation{what: read, lease: first, state: task.Running})},
	{"an acknowledged task is not found", "I13", until(assigned, first, observation{what: read, lease: none})},
	{"a task is counted in two states", "I14", until(assigned, second, observation{what: snapshot, counts: map[task.State]int64{task.Assigned: 1, task.Running: 1}})},
	{"a task is not counted", "I14", until(assigned, second, observation{what: snapshot})},
	{"an event is left out", "I15", until(ended, none, observation{what: happened, seq: 5})},
	{"an event that was told is gone after a restart", "I15", until(kept, second, observation{what: mainDied}, observation{what: mainStarted, seq: 2})},
	{"a task takes a fourth device down", "I16", poisoned(4)},
	{"a draining device is given a task", "I18", until(assigned, second, observation{what: drained, device: "b"}, observation{what: assigned, lease: second, device: "b"})},
	{"what was given back counts as lost", "I18", until(snapshot, task.Lease{}, observation{what: gaveBack, lease: first}, observation{what: stopped, lease: first},
		observation{what: stands, lease: first, state: task.Queued, device: "a", outcome: task.AttemptLost})},
	{"a device that has it loses an attempt", "I19", until(snapshot, task.Lease{}, observation{at: 400 * time.Second, what: stands, lease: first, state: task.Queued, device: "a", outcome: task.AttemptLost})},
	{"a restart takes an attempt away", "I19", until(snapshot, task.Lease{}, observation{at: 400 * time.Second, what: mainDied}, observation{at: 460 * time.Second, what: mainStarted, seq: 1},
		observation{at: 470 * time.Second, what: stands, lease: first, state: task.Queued, device: "a", outcome: task.AttemptLost})},
	{"a silent device keeps its task", "I20", until(snapshot, task.Lease{}, observation{at: 464 * time.Second, what: heard, device: "b"})},
}

// poisoned is of a task under which so many devices die.
func poisoned(deaths int) []observation {
	h := []observation{{what: mainStarted}, {what: added, many: 1}}
	for n := range deaths {
		l := task.Lease{Task: 1, Attempt: n + 1, Token: "x"}
		h = append(h, observation{what: stands, lease: l, state: task.Assigned, device: "a", outcome: task.AttemptLeased}, observation{what: assigned, lease: l, device: "a"},
			observation{what: started, lease: l, device: "a"}, observation{what: died, device: "a"},
			observation{what: stands, lease: l, state: task.Queued, device: "a", outcome: task.AttemptLost})
	}
	return h
}

func judgeHistory(h []observation) *violation {
	j := newJudge()
	for i := range h {
		if v := j.see(&h[i]); v != nil {
			return v
		}
	}
	return nil
}

// TestBrokenHistories wants the judge to find what is wrong, and to let pass what is not. I17 has no history of its own: it is all of the others,
// with a clock that is set.
func TestBrokenHistories(t *testing.T) {
	for name, h := range map[string][]observation{"good": goodHistory, "three deaths": poisoned(lostLimit)} {
		if v := judgeHistory(h); v != nil {
			t.Errorf("the history %s is said to be broken: %s", name, v)
		}
	}
	found := map[string]int{}
	for _, b := range brokenHistories {
		v := judgeHistory(b.history)
		if v == nil || v.invariant != b.finds {
			t.Errorf("%s: %v, and should be %s", b.name, v, b.finds)
			continue
		}
		t.Logf("%s: %s", b.name, v)
		found[v.invariant]++
	}
	for _, i := range strings.Fields("I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13 I14 I15 I16 I18 I19 I20") {
		if found[i] == 0 {
			t.Errorf("no broken history shows that %s is judged", i)
		}
	}
}
