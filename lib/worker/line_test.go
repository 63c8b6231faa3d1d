package worker

import (
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// newLine is a worker of one slot that has seen short attempts, and runs one; the others are lined up behind it.
func newLine(t *testing.T, waiting int) *rig {
	r := newRig(t, 1)
	r.c.LineUp(func(taskType string) bool { return taskType != task.TypeSleep })
	r.connect()
	for n := range steady {
		r.assign(100 + n)
		r.end(100+n, task.AttemptCompleted)
	}
	take[StartAttempt](r)
	for n := range waiting {
		r.assign(n + 1)
	}
	return r
}

func TestShortAttemptsAreLinedUp(t *testing.T) {
	r := newLine(t, 3)
	started := take[StartAttempt](r)
	if len(started) != 3 || !started[1].Lined || !started[1].BeginBy.Equal(r.c.authority.until) {
		t.Fatalf("%+v", started)
	}
	for _, h := range r.c.Held() {
		if h.Lease.Task <= 3 && h.State != wire.HeldWaiting {
			t.Errorf("%v is %v to the main node", h.Lease, h.State)
		}
	}
	r.end(1, task.AttemptCompleted)
	r.end(2, task.AttemptCompleted)
	r.pass(reportAfter)
	r.wantSent(`result 1 completed "" of 0`, `result 2 completed "" of 0`) // and 3, which may have begun, is not told of
}

func TestWhoIsNotLinedUp(t *testing.T) {
	for name, change := range map[string]func(*task.Spec){
		"exclusive":       exclusive,
		"at most once":    func(s *task.Spec) { s.AtMostOnce = true },
		"not of its type": func(s *task.Spec) { s.Type = task.TypeSleep },
	} {
		r := newLine(t, 1)
		take[StartAttempt](r)
		r.assignAs(2, change)
		if got := take[StartAttempt](r); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	r := newLine(t, 1)
	r.c.pace.ran = usual(lineRun + time.Millisecond)
	take[StartAttempt](r)
	r.assign(2)
	if got := take[StartAttempt](r); len(got) != 0 {
		t.Errorf("behind those that last: %+v", got)
	}
	if r := newLine(t, 2*lineMost); r.c.running != 1+lineMost {
		t.Errorf("%d run or are lined up", r.c.running)
	}
}

// What was lined up behind an attempt that runs on waits again, in its order, and is lined up no more for a while.
func TestUnbegunWaitsAgain(t *testing.T) {
	r := newLine(t, 4)
	take[StartAttempt](r)
	r.step(Begun{lease(1)})
	r.step(Unbegun{lease(4)})
	r.step(Unbegun{lease(2)})
	r.step(Unbegun{lease(3)})
	r.pass(reportAfter)
	r.wantSent("accept 1")
	r.step(Received{wire.Message{Type: wire.TypeTaskRecall, Data: mustJSON(t, wire.Recall{Lease: lease(3)})}})
	r.wantSent("release 3 started false")
	r.end(1, task.AttemptCompleted)
	if got := take[StartAttempt](r); len(got) != 1 || got[0].Lease != lease(2) || got[0].Lined {
		t.Errorf("%+v", got)
	}
}

// A recall of what was lined up is answered when it is known not to have begun.
func TestRecallOfWhatIsLinedUp(t *testing.T) {
	r := newLine(t, 3)
	r.step(Received{wire.Message{Type: wire.TypeTaskRecall, Data: mustJSON(t, wire.Recall{Lease: lease(3)})}})
	take[Effect](r)
	r.step(Unbegun{lease(3)})
	r.wantSent("release 3 started false")
}

// What becomes of an attempt whose turn did not come, and that was not wanted any more by then.
func TestUnbegunAndNotWanted(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(r *rig)
		sent      []string
	}{
		"cancelled": {func(r *rig) {
			r.step(Received{wire.Message{Type: wire.TypeTaskCancel, Data: mustJSON(t, wire.Cancel{Lease: lease(2), Reason: "by ann"})}})
		}, nil},
		"wanted back": {func(r *rig) {
			r.step(Received{wire.Message{Type: wire.TypeTaskCancel, Data: mustJSON(t, wire.Cancel{Lease: lease(2), Reason: "it moves", GiveBack: true})}})
		}, []string{"release 2 started false"}},
		"of no device any more": {func(r *rig) {
			r.step(Disconnected{})
			r.connect(wire.Held{Lease: lease(2), Verdict: wire.Kill})
		}, nil},
		"draining": {func(r *rig) { r.step(Drain{}) }, []string{"release 2 started false"}},
	} {
		r := newLine(t, 2)
		c.meanwhile(r)
		r.pass(0)
		take[Effect](r)
		r.step(Unbegun{lease(2)})
		if r.c.attempts[lease(2)] != nil || len(r.c.queue) > 0 || r.c.running != 1 {
			t.Errorf("%s: it is still held", name)
		}
		r.wantSent(c.sent...)
	}
}
