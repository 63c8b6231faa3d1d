package worker

import (
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// While there is more to begin, ends are told together; the last one waits for nothing.
func TestEndsAreToldTogether(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	for n := range 4 {
		r.assign(n + 1)
	}
	r.end(1, task.AttemptCompleted)
	r.end(2, task.AttemptCompleted)
	r.wantSent()
	r.pass(reportAfter)
	r.wantSent("accept 3", `result 1 completed "" of 0`, `result 2 completed "" of 0`)
	r.end(3, task.AttemptCompleted) // 4 begins, and nothing waits behind it
	r.wantSent(`result 3 completed "" of 0`)
	r.end(4, task.AttemptCompleted)
	r.wantSent(`result 4 completed "" of 0`)
	if got := take[SpoolResult](r); len(got) != 0 {
		t.Errorf("%d results were spooled after they were sent", len(got))
	}
}

// What is told later is spooled all the same, and told once, where the connection breaks meanwhile.
func TestEndsThatWaitOutliveTheConnection(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	r.assign(3)
	r.end(1, task.AttemptCompleted)
	take[Effect](r)
	r.step(Disconnected{})
	r.pass(reportAfter)
	if got := take[SpoolResult](r); len(got) != 1 {
		t.Fatalf("%d results are spooled", len(got))
	}
	r.connect(wire.Held{Lease: lease(1), Verdict: wire.Keep}, wire.Held{Lease: lease(2), Verdict: wire.Keep}, wire.Held{Lease: lease(3), Verdict: wire.Keep})
	r.wantSent(`result 1 completed "" of 0`)
	r.pass(reportAfter)
	r.wantSent()
}

// A start that matters for what becomes of the task is told before it can have any effect.
func TestStartsThatMatterAreToldAtOnce(t *testing.T) {
	for _, change := range []func(*task.Spec){exclusive, func(s *task.Spec) { s.AtMostOnce = true }} {
		r := newRig(t, 1)
		r.connect()
		r.assignAs(1, change)
		r.wantSent("accept 1")
	}
}

func TestRecall(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	take[Effect](r)
	for n := range 3 {
		r.step(Received{wire.Message{Type: wire.TypeTaskRecall, Data: mustJSON(t, wire.Recall{Lease: lease(n + 1)})}})
	}
	r.wantSent("release 2 started false")
	r.end(1, task.AttemptCompleted)
	if started := take[StartAttempt](r); len(started) != 0 {
		t.Errorf("what was given back was begun: %v", started)
	}
}

// What was taken because attempts were short is given back where they are not any more.
func TestWhatWaitsForLongIsGivenBack(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	for n := range steady {
		r.assign(n + 1)
		r.end(n+1, task.AttemptCompleted)
	}
	if r.c.ahead() == 0 {
		t.Fatal("nothing is wanted ahead of short attempts")
	}
	r.assign(20)
	r.assign(21)
	r.pass(reportAfter)
	take[Effect](r)
	r.pass(longWait / 2)
	if b := take[SendHeartbeat](r); len(b) > 0 {
		t.Fatal("too soon")
	}
	r.pass(r.c.Next().Sub(r.now))
	if r.c.ahead() != 0 || len(r.c.queue) > 0 || len(r.c.attempts) != steady+1 {
		t.Errorf("%d ahead, %d wait, %d are held", r.c.ahead(), len(r.c.queue), len(r.c.attempts))
	}
	r.wantSent("release 21 started false")
}

func TestAheadFollowsThePace(t *testing.T) {
	if got := newRig(t, 2).c.ahead(); got != 0 {
		t.Errorf("%d ahead before anything was run", got)
	}
	for _, c := range []struct {
		slots     int
		ran, trip time.Duration
		want      int
	}{
		{2, time.Millisecond, 3 * time.Millisecond, 26},
		{4, 20 * time.Millisecond, 10 * time.Millisecond, 4},
		{4, time.Second, 5 * time.Millisecond, 0}, // a slot is empty for a hundredth of the time
		{4, time.Second, 55 * time.Millisecond, 4},
		{2, 10 * time.Microsecond, 3 * time.Millisecond, wire.MaxAhead},
		{1, time.Hour, time.Minute, 0},
	} {
		r := newRig(t, c.slots)
		r.c.pace = pace{usual(c.ran), peak(c.trip), steady}
		if got := r.c.ahead(); got != c.want {
			t.Errorf("%d slots, %v an attempt, %v for an answer: %d ahead, want %d", c.slots, c.ran, c.trip, got, c.want)
		}
	}
}

// A device that has no room for a process gives back what waits, rather than burn one after another.
func TestNoRoomGivesBackWhatWaits(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	for n := range 4 {
		r.assign(n + 1)
	}
	take[Effect](r)
	r.end(1, task.AttemptReleased)
	r.wantSent("release 2 started false", "release 3 started false", "release 4 started false", `result 1 released "" of 0`)
	if started := take[StartAttempt](r); len(started) != 0 {
		t.Errorf("it began %v", started)
	}
}
