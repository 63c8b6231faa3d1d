package worker

import (
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const tw = 418100 * time.Millisecond // of a lease of 450 s, rounded down

func TestHoldIsLessThanTheLease(t *testing.T) {
	for _, lease := range []time.Duration{time.Second, 4500 * time.Millisecond, 450 * time.Second, time.Hour} {
		hold := holdOf(lease)
		if whole := hold + hold/20 + graceOf(lease) + lease/450; whole > lease {
			t.Errorf("%s: held for %s, which may be as long as %s", lease, hold, whole)
		}
		if hold < lease*9/10 {
			t.Errorf("%s: held for %s only", lease, hold)
		}
	}
}

func (r *rig) assignAs(n int, change func(*task.Spec)) {
	spec := task.Spec{Type: task.TypeEcho}
	change(&spec)
	body, err := json.Marshal(wire.Assign{Number: int64(n), Task: wire.AssignedTask{Lease: lease(n), Spec: spec}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(Received{wire.Message{Type: wire.TypeTaskAssign, Data: body}})
}

func exclusive(s *task.Spec) { s.Exclusive = true }

func (r *rig) beatAnswered() { r.answer(HeartbeatID, wire.HeartbeatAck{}) }

// What was given before a device slept may be another's when it wakes.
func TestNothingIsStartedOnStaleAuthority(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	take[Effect](r)
	r.now = r.now.Add(tw + time.Second) // it slept; what came meanwhile is read now
	r.assign(1)
	if got := take[StartAttempt](r); len(got) > 0 {
		t.Fatal("started on an authority that is over")
	}
	if held := r.c.Held(); len(held) != 1 || held[0].State != wire.HeldWaiting {
		t.Fatalf("%+v", held)
	}
	r.beatAnswered() // the one before it slept
	if got := take[StartAttempt](r); len(got) > 0 {
		t.Fatal("started on the answer to what was said before it slept")
	}
	r.beatAnswered() // the one after that
	if got := take[StartAttempt](r); len(got) != 1 {
		t.Fatal("not started when the main node had answered")
	}
}

func TestExclusiveEndsWhenCutOff(t *testing.T) {
	r := newRig(t, 2)
	r.connect()
	r.assignAs(1, exclusive)
	r.assign(2)
	if f := take[StartAttempt](r); len(f) != 2 || !f[1].Until.IsZero() || f[0].Lease != lease(1) || f[0].Until.Sub(r.now).Truncate(time.Second) != tw.Truncate(time.Second) || f[0].Grace != 10*time.Second {
		t.Fatalf("%+v", f)
	}
	r.pass(time.Minute)
	r.beatAnswered() // sent at once after the welcome
	if f := take[Fence](r); len(f) != 1 || f[0].Until.Sub(r.now) > tw-59*time.Second {
		t.Fatalf("the answer to a heartbeat of a minute ago: %+v", f)
	}
	r.step(Disconnected{})
	r.pass(tw - time.Minute - time.Second)
	if k := take[KillAttempt](r); len(k) > 0 {
		t.Fatalf("killed early: %+v", k)
	}
	if next := r.c.Next().Sub(r.now); next > 2*time.Second {
		t.Errorf("looks again only in %s", next)
	}
	r.pass(2 * time.Second)
	if k := take[KillAttempt](r); len(k) != 1 || k[0].Lease != lease(1) {
		t.Fatalf("%+v", k)
	}
	if held := r.c.Held(); len(held) != 2 {
		t.Fatalf("not held any more before it has ended: %+v", held)
	}
	r.print(1, "what nobody will want")
	r.end(1, task.AttemptCancelled)
	if kept := take[SpoolResult](r); len(kept) != 1 || kept[0].Result.Status != task.AttemptLost || len(kept[0].Chunks) > 0 {
		t.Fatalf("%+v", kept)
	}
	if held := r.c.Held(); len(held) != 2 || held[0].State != wire.HeldEnded {
		t.Fatalf("forgotten before the main node heard that it was begun: %+v", held)
	}
}

// One that ended by itself at that moment has a result like any other.
func TestFencedThatHadEnded(t *testing.T) {
	for status, want := range map[task.Outcome]task.Outcome{task.AttemptCompleted: task.AttemptCompleted, task.AttemptFailed: task.AttemptFailed,
		task.AttemptLost: task.AttemptLost, task.AttemptCancelled: task.AttemptLost} {
		r := newRig(t, 1)
		r.connect()
		r.assignAs(1, exclusive)
		r.pass(tw + time.Second)
		r.end(1, status)
		if got := take[SpoolResult](r); len(got) != 1 || got[0].Result.Status != want {
			t.Errorf("%s: %+v", status, got)
		}
	}
}

func TestRefusedHeartbeatRenewsNothing(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	until := r.c.authority.until
	r.pass(time.Minute)
	r.step(Received{wire.Message{Type: wire.TypeError, ReplyTo: HeartbeatID}})
	r.step(Received{wire.Message{Type: wire.TypeError, ReplyTo: HeartbeatID}})
	if r.c.authority.until != until {
		t.Error("renewed by an error")
	}
}

func TestGiveBack(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	r.sent()
	for n := 2; n > 0; n-- {
		body, _ := json.Marshal(wire.Cancel{Lease: lease(n), Reason: "wanted back", GiveBack: true})
		r.step(Received{wire.Message{Type: wire.TypeTaskCancel, Data: body}})
	}
	r.wantSent("release 2 started false")
	r.end(1, task.AttemptCancelled)
	r.wantSent(`result 1 released "" of 0`)
}

func TestUnknownResultsAreParked(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.print(1, "precious")
	r.end(1, task.AttemptCompleted)
	take[Effect](r)
	r.answer("1", wire.Judged{Lease: lease(1), Verdict: wire.Unknown})
	if got := take[ParkResult](r); len(got) != 1 || string(got[0].Chunks[0].Data) != "precious" || len(r.c.Held()) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestPressedDeviceTakesNothing(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	take[Effect](r)
	r.step(Pressed{Reason: "its disk is full"})
	if b := take[SendHeartbeat](r); len(b) != 1 || b[0].Reason != "its disk is full" {
		t.Errorf("%+v", b)
	}
	r.assign(1)
	r.wantSent("release 1 started false")
	r.step(Pressed{})
	r.assign(2)
	r.pass(reportAfter)
	r.wantSent("accept 2")
}

// A device without room for another process does not burn one task after another.
func TestNoRoomForAProcess(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	take[Effect](r)
	r.end(1, task.AttemptReleased)
	if b := take[SendHeartbeat](r); len(b) != 1 || b[0].Status != device.Paused {
		t.Errorf("%+v", b)
	}
	r.assign(2)
	r.wantSent("release 2 started false")
	r.pass(restTime)
	if b := take[SendHeartbeat](r); len(b) != 1 || b[0].Status != device.Online {
		t.Errorf("%+v", b)
	}
	r.assign(3)
	r.pass(reportAfter)
	r.wantSent("accept 3")
}

// Hello lists what the connection before it has brought: else the main node takes it for never arrived, and gives it to another.
func TestHelloComesAfterTheLastConnectionsWords(t *testing.T) {
	for range 40 {
		l := pipe(func(*wire.Conn) {})
		w := &Worker{o: Options{Log: slog.New(slog.DiscardHandler), Beat: func() {}}, core: NewCore(0, nil), in: make(chan any, 8), helloNow: make(chan helloAsk), link: l}
		w.core.Step(clock(), Welcomed{wire.Welcome{Lease: 450}, clock()})
		data, _ := json.Marshal(wire.Assign{Number: 1, Task: wire.AssignedTask{Lease: lease(1), Spec: task.Spec{Type: task.TypeEcho}}})
		w.in <- fromLink{l, Received{wire.Message{Type: wire.TypeTaskAssign, Data: data}}}
		w.in <- gone{l}
		h := helloAsk{make(chan []wire.Held, 1)}
		stop := make(chan error, 1)
		go func() { w.helloNow <- h; stop <- errors.New("enough") }()
		w.loop(t.Context(), t.Context(), stop)
		if held := <-h.answer; len(held) != 1 {
			t.Fatalf("hello lists %d attempts", len(held))
		}
	}
}
