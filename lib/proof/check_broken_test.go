package proof

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Four tasks of a history in which all is well: one completed at once, one completed by its second attempt after its device was silent,
// one cancelled while it waited, one that kills its workers.
const (
	plain task.ID = iota + 1
	moved
	dropped
	deadly
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// at is a time of the sound history.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func tried(number int, device string, outcome task.Outcome, from, to float64) task.Attempt {
	begun, ended := at(from), at(to)
	return task.Attempt{Number: number, Device: device, Outcome: outcome, Leased: begun, Started: &begun, Finished: &ended}
}

// sound is a history in which all is well.
func sound() *history {
	h := newHistory()
	h.lease = 4500 * time.Millisecond
	h.acks = []ack{{"a/0", plain}, {"a/0", plain}, {"a/1", moved}, {"b/0", dropped}, {"p/0", deadly}}
	h.cancelled[dropped] = at(1)
	h.told = []told{{plain, task.Completed, 1}, {dropped, task.Cancelled, 0}}
	h.poison["p/0"] = true
	h.snapshots = []snapshot{{map[string]int64{"queued": 1, "running": 1, "completed": 1}, 2, 4}, {map[string]int64{"completed": 2, "cancelled": 1, "failed": 1}, 4, 4}}
	h.final[plain] = task.Task{ID: plain, State: task.Completed, Attempt: 1, Attempts: []task.Attempt{tried(1, "w1", task.AttemptCompleted, 0, 1)}}
	h.final[moved] = task.Task{ID: moved, State: task.Completed, Attempt: 2, Losses: 1, Attempts: []task.Attempt{
		tried(1, "w2", task.AttemptLost, 1, 15), tried(2, "w1", task.AttemptCompleted, 15, 16)}}
	h.final[dropped] = task.Task{ID: dropped, State: task.Cancelled}
	h.final[deadly] = task.Task{ID: deadly, State: task.Failed, Attempt: 3, Losses: 3, Reason: "lost_limit: 3 devices", Attempts: []task.Attempt{
		tried(1, "w3", task.AttemptLost, 30, 35), tried(2, "w3", task.AttemptLost, 36, 41), tried(3, "w3", task.AttemptLost, 42, 47)}}
	h.starts = []start{{attempt{plain, 1}, "w1", 101}, {attempt{moved, 1}, "w2", 102}, {attempt{moved, 2}, "w1", 103},
		{attempt{deadly, 1}, "w3", 104}, {attempt{deadly, 2}, "w3", 105}, {attempt{deadly, 3}, "w3", 106}}
	h.ends[attempt{plain, 1}], h.ends[attempt{moved, 2}] = true, true
	h.outputs[plain], h.outputs[moved] = "a/0 1 101\n", "a long story"
	h.printed[attempt{moved, 2}] = "a long story"
	h.fates = []fate{{"w2", at(10), at(20)}, {"w3", at(30), at(50)}, {"w3", at(36), at(50)}, {"w3", at(42), at(50)}}
	for i, e := range []cluster.Event{{Kind: cluster.MainStarted}, {Kind: cluster.TaskEnded, Task: plain, Attempt: 1, State: task.Completed},
		{Kind: cluster.TaskEnded, Task: dropped, State: task.Cancelled}, {Kind: cluster.TaskRequeued, Task: moved, Attempt: 1},
		{Kind: cluster.TaskEnded, Task: moved, Attempt: 2, State: task.Completed}, {Kind: cluster.TaskEnded, Task: deadly, Attempt: 3, State: task.Failed}} {
		e.Seq, e.Time = int64(i+1), at(float64(i))
		h.events = append(h.events, e)
	}
	h.followed = [][]cluster.Event{slices.Clone(h.events), slices.Clone(h.events[:3])}
	return h
}

func TestSoundHistory(t *testing.T) {
	for _, w := range sound().judge() {
		t.Error(w)
	}
}

// change changes a task of the history as it stands in the end.
func change(h *history, id task.ID, f func(t *task.Task)) {
	t := h.final[id]
	t.Attempts = slices.Clone(t.Attempts)
	f(&t)
	h.final[id] = t
}

// TestBrokenHistories breaks the sound history in one place each; the checker must see it, as a breach of the invariant that it breaks.
func TestBrokenHistories(t *testing.T) {
	for _, tt := range []struct {
		name, invariant string
		breakIt         func(h *history)
	}{
		{"an acknowledged task is gone", "I1", func(h *history) { delete(h.final, plain) }},
		{"a task waits for ever", "I1", func(h *history) { change(h, dropped, func(t *task.Task) { t.State = task.Queued }) }},
		{"a task runs for ever", "I1", func(h *history) { change(h, moved, func(t *task.Task) { t.State = task.Running }) }},
		{"a key is two tasks", "I2", func(h *history) { h.acks = append(h.acks, ack{"a/0", moved}) }},
		{"two keys are a task", "I2", func(h *history) { h.acks = append(h.acks, ack{"c/0", plain}) }},
		{"a submission was taken twice", "I2", func(h *history) { h.final[9] = task.Task{ID: 9, State: task.Cancelled} }},
		{"an attempt is missing", "I3", func(h *history) { change(h, moved, func(t *task.Task) { t.Attempts = t.Attempts[1:] }) }},
		{"a number is given twice", "I3", func(h *history) { change(h, moved, func(t *task.Task) { t.Attempts[1].Number = 1 }) }},
		{"an attempt is open for ever", "I3", func(h *history) { change(h, moved, func(t *task.Task) { t.Attempts[0].Outcome = task.AttemptRunning }) }},
		{"a task ends twice", "I4", func(h *history) {
			h.events = append(h.events, cluster.Event{Seq: 7, Kind: cluster.TaskEnded, Task: plain, State: task.Completed})
		}},
		{"a task ends otherwise than it was told", "I4", func(h *history) { h.events[1].State = task.Failed }},
		{"a task ends without a word", "I4", func(h *history) { h.events[1].Kind = cluster.TaskStarted }},
		{"a lost attempt's result counts", "I5", func(h *history) { change(h, moved, func(t *task.Task) { t.Attempts[1].Outcome = task.AttemptLost }) }},
		{"another attempt after the one that completed", "I5", func(h *history) {
			change(h, moved, func(t *task.Task) { t.Attempts[0].Outcome = task.AttemptCompleted })
		}},
		{"output of another attempt's process", "I6", func(h *history) { h.outputs[plain] = "a/0 1 999\n" }},
		{"half of the output", "I6", func(h *history) { h.outputs[moved] = "a long" }},
		{"output twice", "I6", func(h *history) { h.outputs[moved] += h.outputs[moved] }},
		{"no output", "I6", func(h *history) { delete(h.outputs, plain) }},
		{"completed before its end", "I6", func(h *history) { delete(h.ends, attempt{plain, 1}) }},
		{"a result is never handed in", "I6", func(h *history) { h.held = []string{"w1 holds 1"} }},
		{"an attempt that was never given out", "I7", func(h *history) { h.starts = append(h.starts, start{attempt{plain, 2}, "w1", 109}) }},
		{"an attempt on another device", "I7", func(h *history) { h.starts[0].device = "w2" }},
		{"a task that nobody knows", "I7", func(h *history) { h.starts = append(h.starts, start{attempt{77, 1}, "w1", 109}) }},
		{"an attempt starts twice", "I8", func(h *history) { h.starts = append(h.starts, start{attempt{plain, 1}, "w1", 109}) }},
		{"a task that runs at most once starts twice", "I8", func(h *history) { h.once["a/1"] = true }},
		{"a task that runs at most once is lost without a word", "I8", func(h *history) { h.once["p/0"], h.starts = true, h.starts[:4] }},
		{"two attempts at once", "I9", func(h *history) { h.overlaps = []attempt{{moved, 2}} }},
		{"a process stays", "I10", func(h *history) { h.zombies = []string{"process 102"} }},
		{"a completed task is said to have failed", "I11", func(h *history) { h.told = append(h.told, told{plain, task.Failed, 1}) }},
		{"another attempt than was told", "I11", func(h *history) { h.told = append(h.told, told{moved, task.Completed, 1}) }},
		{"a cancel is undone", "I11", func(h *history) { change(h, dropped, func(t *task.Task) { t.State = task.Completed }) }},
		{"given out after its cancel", "I11", func(h *history) {
			change(h, dropped, func(t *task.Task) {
				t.Attempt, t.Attempts = 1, []task.Attempt{tried(1, "w1", task.AttemptCancelled, 2, 3)}
			})
		}},
		{"a task is counted twice", "I14", func(h *history) { h.snapshots[1].tasks["queued"]++ }},
		{"a task is not counted", "I14", func(h *history) { h.snapshots[1].tasks["failed"]-- }},
		{"an event is missing", "I15", func(h *history) { h.events = slices.Delete(h.events, 3, 4) }},
		{"a follower misses an event", "I15", func(h *history) { h.followed[0] = slices.Delete(h.followed[0], 2, 3) }},
		{"a follower gets an event twice", "I15", func(h *history) { h.followed[0] = slices.Insert(h.followed[0], 2, h.followed[0][1]) }},
		{"an event that was delivered is another one after the crash", "I15", func(h *history) { h.followed[1][2].Task = plain }},
		{"an event that was delivered is gone after the crash", "I15", func(h *history) {
			h.followed[1] = append(slices.Clone(h.events), cluster.Event{Seq: 7})
		}},
		{"poison is started too often", "I16", func(h *history) { h.starts = append(h.starts, start{attempt{deadly, 4}, "w3", 110}) }},
		{"poison fails for another reason", "I16", func(h *history) { change(h, deadly, func(t *task.Task) { t.Reason = "exit status 1" }) }},
		{"a bystander is set aside", "I16", func(h *history) { change(h, moved, func(t *task.Task) { t.Reason = "lost_limit: 3 devices" }) }},
		{"a task starts again, and all devices were there", "I19", func(h *history) { h.ridden = true }},
		{"a second attempt, and nothing crashed", "I19", func(h *history) {
			h.ridden, h.nothing = true, true
			h.starts = slices.DeleteFunc(h.starts, func(s start) bool { return s.number > 1 || s.task == deadly })
		}},
		{"a completed task never ran", "I19", func(h *history) {
			h.ridden = true
			h.starts = h.starts[1:3]
		}},
		{"moved though its device was heard", "I20", func(h *history) { h.fates = h.fates[1:] }},
		{"moved after a blip", "I20", func(h *history) { h.fates[0].to = at(13) }},
		{"moved too early", "I20", func(h *history) { h.fates[0].from = at(12) }},
		{"moved too late", "I20", func(h *history) { h.fates[0].from = at(0) }},
	} {
		h := sound()
		tt.breakIt(h)
		wrong := h.judge()
		if !slices.ContainsFunc(wrong, func(w string) bool { return strings.HasPrefix(w, tt.invariant+":") }) {
			t.Errorf("%s: the checker does not see it as a breach of %s; it says %q", tt.name, tt.invariant, wrong)
		}
	}
}

// TestEveryInvariantIsBroken sees to it that no invariant is judged by a rule that never says no.
func TestEveryInvariantIsBroken(t *testing.T) {
	source := string(read("check_broken_test.go"))
	for _, i := range invariants {
		if !strings.Contains(source, `", "`+i.name+`", func`) {
			t.Errorf("no broken history for %s", i.name)
		}
	}
}
