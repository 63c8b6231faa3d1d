package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rig drives a core, with time as it likes.
type rig struct {
	t    *testing.T
	c    *Core
	now  time.Time
	done []Effect // not yet looked at
}

func newRig(t *testing.T, slots int) *rig {
	return &rig{t: t, c: NewCore(slots, nil), now: time.Unix(1000, 0)}
}

func (r *rig) step(in any) { r.done = append(r.done, r.c.Step(r.now, in)...) }

func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.step(Timer{})
}

func (r *rig) connect(held ...wire.Held) {
	r.step(Welcomed{wire.Welcome{Heartbeat: 60, Lease: 450, Held: held}, r.now})
}

func lease(n int) task.Lease {
	return task.Lease{Task: task.ID(n), Attempt: 1, Token: fmt.Sprint("lease ", n)}
}

func (r *rig) assign(n int) {
	body, err := json.Marshal(wire.Assign{Number: int64(n), Task: wire.AssignedTask{Lease: lease(n), Spec: task.Spec{Type: task.TypeEcho}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(Received{wire.Message{Type: wire.TypeTaskAssign, Data: body}})
}

func mustJSON(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *rig) print(n int, text string) { r.step(Printed{lease(n), task.Stdout, 0, []byte(text)}) }

func (r *rig) end(n int, status task.Outcome) { r.step(Ended{lease(n), task.Result{Status: status}}) }

func (r *rig) answer(id string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(Received{wire.Message{Type: wire.TypeAck, ReplyTo: id, Data: data}})
}

// take gives what the core did of one kind since one last looked, and drops the rest.
func take[T any](r *rig) (got []T) {
	for _, e := range r.done {
		if v, ok := e.(T); ok {
			got = append(got, v)
		}
	}
	r.done = nil
	return got
}

// sent is what was said since one last looked: type, and what matters of the body.
func (r *rig) sent() (got []string) {
	for _, m := range take[SendMessage](r) {
		switch b := m.Body.(type) {
		case wire.Accept:
			got = append(got, fmt.Sprint("accept ", uint64(b.Task)))
		case wire.Output:
			got = append(got, fmt.Sprintf("output %d @%d %q", uint64(b.Task), b.Position, b.Text))
		case wire.Result:
			got = append(got, fmt.Sprintf("result %d %s %q of %d", uint64(b.Task), b.Status, b.Result.Output, b.OutputBytes))
		case wire.Release:
			got = append(got, fmt.Sprintf("release %d started %v", uint64(b.Task), b.Started))
		default:
			got = append(got, m.Type)
		}
	}
	return got
}

func (r *rig) wantSent(want ...string) {
	r.t.Helper()
	if got := r.sent(); !reflect.DeepEqual(got, want) {
		r.t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// What an attempt says of how far it has come is told when it changes, and again to a main node that comes back.
// What is printed at once is one piece; what is printed later has a time of its own.
func TestOutputKeepsTimes(t *testing.T) {
	var o output
	for _, at := range []time.Duration{0, 10, 50, 3000, 3010} {
		o.add(task.Stdout, at*time.Millisecond, []byte("x"))
	}
	if len(o.chunks) != 2 || o.chunks[1].After != 3*time.Second || o.chunks[1].Position != 3 {
		t.Errorf("%+v", o.chunks)
	}
}

func TestProgress(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	take[Effect](r)
	r.step(Progressed{lease(1), "1%"})
	r.step(Progressed{lease(1), "1%"})
	r.step(Progressed{lease(9), "of nobody"})
	r.wantSent(wire.TypeTaskProgress)
	r.step(Disconnected{})
	r.step(Progressed{lease(1), "2%"})
	r.wantSent()
	r.connect(wire.Held{Lease: lease(1), Verdict: wire.Keep})
	found := ""
	for _, m := range take[SendMessage](r) {
		if p, ok := m.Body.(wire.Progress); ok {
			found += p.Text
		}
	}
	if found != "2%" {
		t.Errorf("%q", found)
	}
}

func TestShortTaskIsOneMessage(t *testing.T) {
	r := newRig(t, 2)
	r.connect()
	r.assign(1)
	r.print(1, "hello\n")
	r.end(1, task.AttemptCompleted)
	r.wantSent(`result 1 completed "hello\n" of 6`)
	r.answer("1", wire.Judged{Lease: lease(1), Verdict: wire.Recorded})
	if len(r.c.attempts) != 0 || r.c.spooled != 0 {
		t.Errorf("%d attempts and %d bytes are left", len(r.c.attempts), r.c.spooled)
	}
}

func TestLongTaskPrintsAlongTheWay(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.print(1, "a")
	r.print(1, "b")
	r.pass(reportAfter)
	r.wantSent("accept 1")
	r.pass(flushAfter)
	r.wantSent(`output 1 @0 "ab"`)
	r.print(1, "c")
	r.end(1, task.AttemptFailed)
	r.wantSent(`result 1 failed "c" of 3`)
}

func TestSlotsAndTheQueue(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	r.assign(2) // once is enough
	if started := take[StartAttempt](r); len(started) != 1 {
		t.Fatalf("%d started with one slot", len(started))
	}
	if h := r.c.Held(); len(h) != 2 || h[0].State != wire.HeldRunning || h[1].State != wire.HeldWaiting {
		t.Fatalf("held %+v", h)
	}
	r.end(1, task.AttemptCompleted)
	if started := take[StartAttempt](r); len(started) != 1 || started[0].Lease != lease(2) {
		t.Fatalf("started %v", started)
	}
	r.end(2, task.AttemptCompleted)
	if started := take[StartAttempt](r); len(started) != 0 {
		t.Fatalf("started again: %v", started)
	}
}

func TestNothingIsForgottenWithoutAConnection(t *testing.T) {
	r := newRig(t, 2)
	r.connect()
	r.assign(1)
	r.assign(2)
	r.print(1, "before ")
	r.pass(time.Second)
	take[Effect](r)
	r.step(Disconnected{})
	r.print(1, "while away ")
	r.end(1, task.AttemptCompleted)
	r.pass(time.Hour)
	r.wantSent()
	if h := r.c.Held(); len(h) != 2 || h[0].State != wire.HeldEnded || h[0].OutputBytes != 18 || h[1].State != wire.HeldRunning {
		t.Fatalf("held %+v", h)
	}
	// The main node has only a part of the output: the rest comes with the result.
	r.connect(wire.Held{Lease: lease(1), Verdict: wire.Keep, OutputBytes: 3}, wire.Held{Lease: lease(2), Verdict: wire.Keep})
	var results []string
	for _, s := range r.sent() {
		if strings.HasPrefix(s, "result") {
			results = append(results, s)
		}
	}
	if want := []string{`result 1 completed "ore while away " of 18`}; !reflect.DeepEqual(results, want) {
		t.Errorf("%q", results)
	}
	// The answer is lost with the connection: the result is said again.
	r.step(Disconnected{})
	r.connect(wire.Held{Lease: lease(1), Verdict: wire.Keep, OutputBytes: 18})
	r.wantSent(`result 1 completed "" of 18`)
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		verdict wire.Verdict
		forgets bool
	}{{wire.Recorded, true}, {wire.Duplicate, true}, {wire.Stale, true}, {wire.Unknown, true}, {wire.Resend, false}, {"of the future", false}} {
		r := newRig(t, 1)
		r.connect()
		r.assign(1)
		r.print(1, strings.Repeat("x", flushAt))
		r.end(1, task.AttemptCompleted)
		take[Effect](r)
		r.answer("1", wire.Judged{Lease: lease(1), Verdict: c.verdict, OutputBytes: flushAt - 2})
		if forgot := len(r.c.attempts) == 0; forgot != c.forgets || forgot != (len(take[SpoolJudged](r)) == 1) {
			t.Errorf("%s: forgot it: %v", c.verdict, forgot)
		}
	}
}

func TestResendSendsWhatIsMissing(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.print(1, "abcdef")
	r.pass(time.Second)
	r.end(1, task.AttemptCompleted)
	take[Effect](r)
	r.answer("1", wire.Judged{Lease: lease(1), Verdict: wire.Resend, OutputBytes: 2})
	r.wantSent(`result 1 completed "cdef" of 6`)
}

func TestSlowConnectionIsNotFlooded(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	take[Effect](r)
	whole := strings.Repeat("0123456789abcde\n", 4*maxInFlight/16)
	for rest := whole; rest != ""; rest = rest[min(len(rest), 30_000):] {
		r.print(1, rest[:min(len(rest), 30_000)])
	}
	r.end(1, task.AttemptCompleted)
	var got strings.Builder
	for got.Len() < len(whole) {
		var bytes int64
		for _, m := range take[SendMessage](r) {
			switch b := m.Body.(type) {
			case wire.Output:
				if b.Position != int64(got.Len()) || len(b.Text) > wire.MaxPiece {
					t.Fatalf("a piece of %d bytes at %d, want it at %d", len(b.Text), b.Position, got.Len())
				}
				got.WriteString(b.Text)
				bytes += int64(len(b.Text))
			case wire.Result:
				if got.Len()+len(b.Result.Output) != len(whole) {
					t.Fatalf("the result came after %d bytes of output", got.Len())
				}
				got.WriteString(b.Result.Output)
			}
		}
		if bytes > maxInFlight+wire.MaxPiece {
			t.Fatalf("%d bytes at once", bytes)
		}
		if got.Len() < len(whole) && bytes == 0 {
			t.Fatalf("stuck after %d bytes", got.Len())
		}
		r.step(Written{bytes})
	}
	if got.String() != whole {
		t.Error("other bytes")
	}
}

func TestCancelAndKill(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	take[Effect](r)
	for _, n := range []int{1, 2} {
		body, _ := json.Marshal(wire.Cancel{Lease: lease(n), Reason: "cancelled"})
		r.step(Received{wire.Message{Type: wire.TypeTaskCancel, Data: body}})
	}
	if kills := take[KillAttempt](r); len(kills) != 1 || kills[0].Lease != lease(1) {
		t.Fatalf("killed %v", kills)
	}
	if len(r.c.attempts) != 1 {
		t.Error("what had not begun was not forgotten")
	}
	r.end(1, task.AttemptCancelled)
	r.wantSent(`result 1 cancelled "" of 0`)

	r = newRig(t, 1)
	r.connect()
	r.assign(1)
	take[Effect](r)
	r.step(Disconnected{})
	r.connect(wire.Held{Lease: lease(1), Verdict: wire.Kill})
	if kills := take[KillAttempt](r); len(kills) != 1 {
		t.Fatalf("killed %v", kills)
	}
	r.end(1, task.AttemptCancelled)
	r.wantSent() // nobody wants to know
	if len(r.c.attempts) != 0 {
		t.Error("it is still held")
	}
}

func TestDrain(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	r.assign(1)
	r.assign(2)
	take[Effect](r)
	r.step(Drain{})
	beats := 0
	for _, e := range r.done {
		if b, ok := e.(SendHeartbeat); ok && b.Status == device.Draining {
			beats++
		}
	}
	if beats != 1 {
		t.Error("the main node was not told")
	}
	r.wantSent("release 2 started false")
	r.assign(3)
	r.wantSent("release 3 started false")
	r.end(1, task.AttemptCompleted)
	if quits := take[Quit](r); len(quits) != 0 {
		t.Fatal("left before the verdict")
	}
	r.answer("1", wire.Judged{Lease: lease(1), Verdict: wire.Recorded})
	if last := r.done[len(r.done)-1]; last != any(Quit{}) {
		t.Errorf("last did %T", last)
	}
}

func TestStopGivesBack(t *testing.T) {
	r := newRig(t, 2)
	r.connect()
	r.assign(1)
	r.assign(2)
	r.pass(reportAfter)
	take[Effect](r)
	r.step(Stop{})
	if kills := take[KillAttempt](r); len(kills) != 2 {
		t.Fatalf("killed %v", kills)
	}
	r.end(1, task.AttemptCancelled)
	r.end(2, task.AttemptCompleted) // it was quicker than the signal
	r.wantSent(`result 1 released "" of 0`, `result 2 completed "" of 0`)
}

func TestHeartbeats(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	if n := len(take[SendHeartbeat](r)); n != 1 {
		t.Fatalf("%d heartbeats at the beginning", n)
	}
	r.assign(7)
	r.pass(59 * time.Second)
	if n := len(take[SendHeartbeat](r)); n != 0 {
		t.Fatal("too early")
	}
	if d := r.c.Next().Sub(r.now); d != time.Second {
		t.Errorf("wakes in %s", d)
	}
	r.pass(time.Second)
	beats := take[SendHeartbeat](r)
	if len(beats) != 1 || beats[0].AssignSeen != 7 || len(beats[0].Held) != 1 || beats[0].ActiveTasks != 1 {
		t.Fatalf("%+v", beats)
	}
	r.answer("heartbeat", wire.HeartbeatAck{Kill: []task.Lease{lease(7)}})
	if kills := take[KillAttempt](r); len(kills) != 1 {
		t.Error("what nobody wants goes on")
	}
}

func TestSpoolQuota(t *testing.T) {
	r := newRig(t, 1)
	r.connect()
	for n := 1; r.c.spooled <= spoolQuota; n++ {
		r.assign(n)
		r.step(Printed{lease(n), task.Stdout, 0, make([]byte, 8<<20)})
		r.end(n, task.AttemptCompleted)
	}
	take[Effect](r)
	r.assign(1000)
	r.wantSent("release 1000 started false")
}

func TestSpoolSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.log")
	s, kept, err := openSpool(path)
	if err != nil || len(kept) != 0 {
		t.Fatal(kept, err)
	}
	exit := 3
	var all []Spooled
	for n := range 3 {
		a := Spooled{Lease: lease(n + 1), Result: task.Result{Status: task.AttemptFailed, ExitCode: &exit, Wall: 1.5}, Chunks: []task.Chunk{
			{Stream: task.Stdout, After: time.Second, Data: []byte("out\x00\xff")}, {Position: 5, Stream: task.Stderr, After: 2 * time.Second, Data: []byte("err")}}}
		all = append(all, a)
		if err := s.add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.judged(lease(2)); err != nil {
		t.Fatal(err)
	}
	s.close()
	whole, _ := os.ReadFile(path)
	// Power goes in the middle of a write, at any byte: what was whole before is kept.
	for cut := 0; cut <= len(whole); cut += 7 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, kept, err := openSpool(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(whole[:cut]), "\n"); len(kept) < min(lines, 2) {
			t.Fatalf("cut at %d, after %d records: %d kept", cut, lines, len(kept))
		}
		for _, k := range kept {
			if want := all[k.Lease.Task-1]; !reflect.DeepEqual(k, want) {
				t.Fatalf("cut at %d: %+v came back as %+v", cut, want, k)
			}
		}
		s.close()
	}
	// A flipped byte costs its record, no other.
	damaged := []byte(string(whole))
	damaged[20] ^= 1
	os.WriteFile(path, damaged, 0o600)
	s, kept, err = openSpool(path)
	if err != nil || len(kept) != 1 || kept[0].Lease != lease(3) {
		t.Fatalf("%v %v", kept, err)
	}
	if err := s.judged(lease(3)); err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(path); fi.Size() != 0 {
		t.Errorf("nothing is pending, and the log has %d bytes", fi.Size())
	}
	s.close()
}

func FuzzOutput(f *testing.F) {
	f.Add("hello", "wörld \xff", 3)
	f.Fuzz(func(t *testing.T, a, b string, from int) {
		var o output
		for range 3 {
			o.add(task.Stdout, 0, []byte(a))
			o.add(task.Stderr, 0, []byte(b))
		}
		whole := strings.Repeat(a+b, 3)
		if o.size != int64(len(whole)) || from < 0 || from > len(whole) {
			return
		}
		var got []byte
		for at := int64(from); at < o.size; {
			c := o.at(at)
			if len(c.Data) == 0 || len(c.Data) > wire.MaxPiece || c.Position != at {
				t.Fatalf("a piece of %d bytes at %d", len(c.Data), c.Position)
			}
			got = append(got, c.Data...)
			at = c.End()
		}
		if string(got) != whole[from:] {
			t.Fatalf("%q, want %q", got, whole[from:])
		}
		if out, errs, ok := o.rest(int64(from), 1<<20); ok && len(out)+len(errs) != len(whole)-from {
			t.Fatalf("rest is %q and %q", out, errs)
		}
	})
}

func TestSpoolStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.log")
	s, _, err := openSpool(path)
	if err != nil {
		t.Fatal(err)
	}
	result := func(n int) Spooled {
		return Spooled{Lease: lease(n), Result: task.Result{Status: task.AttemptCompleted}, Chunks: []task.Chunk{{Stream: task.Stdout, Data: make([]byte, 1000)}}}
	}
	for n := 1; n < 5000; n++ { // there is always one that is not judged
		if err := s.add(result(n)); err != nil {
			t.Fatal(err)
		}
		if err := s.judged(lease(n - 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() > 2*slack || fi.Size() != s.size {
		t.Errorf("one result is pending, and the log has %d bytes (%v)", fi.Size(), err)
	}
	s.close()
	if _, kept, err := openSpool(path); err != nil || len(kept) != 1 || kept[0].Lease != lease(4999) {
		t.Errorf("%v %v", kept, err)
	}
}
