package mainnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rig drives a core as the loop does, over a real store, with time as it likes.
type rig struct {
	t    testing.TB
	path string
	db   *store.DB
	c    *Core
	now  time.Time
	last int64                    // session
	said map[int64][]wire.Message // to each session, not yet looked at
	shut map[int64]bool
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "cluster.db"), now: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)}
	t.Cleanup(func() { r.db.Close() })
	r.start()
	return r
}

// start starts the main node, as often as one likes: what was committed is all that it knows.
func (r *rig) start() {
	r.t.Helper()
	if r.db != nil {
		r.db.Close()
	}
	var err error
	if r.db, err = store.Open(context.Background(), r.path); err != nil {
		r.t.Fatal(err)
	}
	if r.c, err = NewCore(context.Background(), Defaults(), r.db, slog.New(slog.DiscardHandler), r.now, newLease); err != nil {
		r.t.Fatal(err)
	}
	r.said, r.shut = map[int64][]wire.Message{}, map[int64]bool{}
	r.c.Start(r.now)
	r.commit()
}

func (r *rig) commit() {
	r.t.Helper()
	waiting := 0
	for id := range r.c.tasks {
		if r.c.queue.Has(id) {
			waiting++
		}
	}
	if waiting != r.c.touchedInQueue {
		r.t.Fatalf("%d touched tasks wait in the queue, %d are counted", waiting, r.c.touchedInQueue)
	}
	if err := r.c.batch.Commit(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	for _, e := range r.c.effects {
		if e.Message.Type != "" {
			r.said[e.Session] = append(r.said[e.Session], e.Message)
		}
		if e.Close {
			r.shut[e.Session] = true
		}
	}
}

// round is one round of the loop with these inputs.
func (r *rig) round(inputs ...*Input) {
	r.t.Helper()
	r.c.Decide(r.now, inputs)
	r.commit()
}

// pass lets time pass, with a look at it every second, as the loop has.
func (r *rig) pass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		r.now = r.now.Add(min(d, time.Second))
		r.round()
	}
}

// ask sends a message with an answer, and returns the answer's body.
func (r *rig) ask(session int64, body any) any {
	r.t.Helper()
	r.round(&Input{Session: session, Message: wire.Message{Type: "x", ID: "q"}, Body: body})
	for i, m := range r.said[session] {
		if m.ReplyTo == "q" {
			r.said[session] = slices.Delete(r.said[session], i, i+1)
			return m.Body
		}
	}
	r.t.Fatalf("no answer to %T", body)
	return nil
}

func (r *rig) tell(session int64, body any) {
	r.t.Helper()
	r.round(&Input{Session: session, Message: wire.Message{Type: "x"}, Body: body})
}

func (r *rig) client(role wire.Role) int64 {
	r.t.Helper()
	token := wire.NewToken(role)
	r.c.begin(r.now)
	r.c.keepToken(token, "test", 0, cluster.Whole)
	r.commit()
	r.last++
	if _, ok := r.ask(r.last, &wire.Hello{Protocol: wire.Spoken, Token: token.String()}).(wire.Welcome); !ok {
		r.t.Fatal("not welcome")
	}
	return r.last
}

// peer is a device in a test: its key, its life, its newest session.
type peer struct {
	r       *rig
	name    string
	boot    int64
	session int64 // of the core
	number  int64 // in this life
}

func (r *rig) device(name string, slots int) *peer {
	r.t.Helper()
	token := wire.NewToken(wire.RoleAdmin)
	r.c.begin(r.now)
	r.c.keepToken(token, "test", 0, cluster.Whole)
	r.commit()
	r.last++
	joined := r.join(r.last, &wire.Join{Protocol: wire.Spoken, Token: token.String(), Name: name})
	p := &peer{r: r, name: joined.(wire.Joined).DeviceID, boot: 1}
	p.hello()
	p.r.ask(p.session, &device.Profile{Slots: slots, TaskTypes: []string{task.TypeEcho}, Hardware: device.Hardware{CPUCores: 4}})
	return p
}

func (r *rig) join(session int64, j *wire.Join) any {
	r.t.Helper()
	r.round(&Input{Session: session, Fingerprint: "key of " + j.Name, Message: wire.Message{Type: "join", ID: "q"}, Body: j})
	ms := r.said[session]
	return ms[len(ms)-1].Body
}

// hello opens a new session and gives back the answer.
func (p *peer) hello(held ...wire.Held) any {
	p.r.t.Helper()
	p.r.last++
	p.session = p.r.last
	p.number++
	p.r.round(&Input{Session: p.session, Fingerprint: "key of " + p.name, Address: "192.0.2.7", Message: wire.Message{Type: "hello", ID: "q"},
		Body: &wire.Hello{Protocol: wire.Spoken, BootCount: p.boot, Session: p.number, Held: held}})
	ms := p.r.said[p.session]
	p.r.said[p.session] = ms[1:]
	return ms[0].Body
}

func (p *peer) lose() { p.r.round(&Input{Session: p.session}) }

// assigned is what the device was given since one last looked.
func (p *peer) assigned() (got []wire.Assign) {
	var rest []wire.Message
	for _, m := range p.r.said[p.session] {
		if a, ok := m.Body.(wire.Assign); ok {
			got = append(got, a)
		} else {
			rest = append(rest, m)
		}
	}
	p.r.said[p.session] = rest
	return got
}

func (p *peer) one() task.Lease {
	p.r.t.Helper()
	got := p.assigned()
	if len(got) != 1 {
		p.r.t.Fatalf("%s was given %d tasks, want 1", p.name, len(got))
	}
	return got[0].Task.Lease
}

func (p *peer) result(l task.Lease, status task.Outcome, output string) wire.Verdict {
	p.r.t.Helper()
	exit := 0
	if status != task.AttemptCompleted {
		exit = 1
	}
	reply := p.r.ask(p.session, &wire.Result{Lease: l, Status: status, Reason: string(status), Wall: 1, Result: wire.ResultBody{Output: output, ExitCode: &exit}})
	judged, ok := reply.(wire.Judged)
	if !ok {
		p.r.t.Fatalf("result: %v", reply)
	}
	return judged.Verdict
}

func (r *rig) submit(session int64, many int, change ...func(*task.Spec)) []task.ID {
	r.t.Helper()
	m := wire.Submit{}
	for i := range many {
		s := task.Spec{Type: task.TypeEcho, Payload: json.RawMessage(fmt.Sprintf(`{"message":"%d"}`, i))}
		for _, c := range change {
			c(&s)
		}
		m.Tasks = append(m.Tasks, s)
	}
	return r.ask(session, &m).(wire.Submitted).Tasks
}

func (r *rig) want(id task.ID, state task.State, attempt int) task.Task {
	r.t.Helper()
	got, err := r.db.Task(context.Background(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	if got.State != state || got.Attempt != attempt {
		r.t.Fatalf("task %s is %s in attempt %d (%s), want %s in attempt %d", id, got.State, got.Attempt, got.Reason, state, attempt)
	}
	if open := r.c.task(id); (open != nil) == state.Ended() || open != nil && open.row.State != state {
		r.t.Fatalf("task %s: memory and disk are not of one mind", id)
	}
	return got
}

func TestWalkOfATask(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	ids := r.submit(admin, 3)
	given := pi.assigned()
	if len(given) != 2 || given[0].Task.Task != ids[0] || given[1].Task.Task != ids[1] || string(given[0].Task.Payload) != `{"message":"0"}` {
		t.Fatalf("given %+v", given)
	}
	r.want(ids[0], task.Assigned, 1)
	pi.r.tell(pi.session, &wire.Accept{Lease: given[0].Task.Lease})
	r.want(ids[0], task.Running, 1)
	r.tell(pi.session, &wire.Output{Lease: given[0].Task.Lease, Piece: wire.Piece{Stream: task.Stderr, Text: "warming up\n"}})
	exit := 0
	v := r.ask(pi.session, &wire.Result{Lease: given[0].Task.Lease, Status: task.AttemptCompleted, OutputBytes: 16, Result: wire.ResultBody{Output: "done\n", ExitCode: &exit}})
	if v.(wire.Judged).Verdict != wire.Recorded {
		t.Fatal(v)
	}
	if got := r.want(ids[0], task.Completed, 1); *got.ExitCode != 0 || got.Output != 16 || got.Started == nil || got.Finished == nil {
		t.Fatalf("%+v", got)
	}
	chunks, err := r.db.Output(context.Background(), ids[0], 1, 0, 100)
	if err != nil || len(chunks) != 2 || string(chunks[0].Data) != "warming up\n" || chunks[0].Stream != task.Stderr || string(chunks[1].Data) != "done\n" {
		t.Fatalf("%+v %v", chunks, err)
	}
	if next := pi.one(); next.Task != ids[2] {
		t.Fatalf("the free slot was given %v", next)
	}
}

func TestVerdicts(t *testing.T) {
	r := newRig(t)
	admin, pi, pi2 := r.client(wire.RoleAdmin), r.device("pi", 1), r.device("tab", 0)
	id := r.submit(admin, 1, func(s *task.Spec) { s.Retries = 1 })[0]
	first := pi.one()
	if reply := r.ask(pi2.session, &wire.Result{Lease: first, Status: task.AttemptCompleted}); !errors.Is(reply.(error), wire.ErrForbidden) {
		t.Errorf("another device reported: %v", reply)
	}
	forged := first
	forged.Token = "guessed"
	for _, c := range []struct {
		name   string
		lease  task.Lease
		status task.Outcome
		want   wire.Verdict
	}{
		{"a task that never was", task.Lease{Task: 4242, Attempt: 1, Token: "x"}, task.AttemptCompleted, wire.Unknown},
		{"an attempt that never was", task.Lease{Task: id, Attempt: 9, Token: first.Token}, task.AttemptCompleted, wire.Unknown},
		{"a wrong token", forged, task.AttemptCompleted, wire.Stale},
		{"the attempt fails", first, task.AttemptFailed, wire.Recorded},
		{"said again before the retry", first, task.AttemptFailed, wire.Duplicate},
		{"and with another outcome", first, task.AttemptCompleted, wire.Duplicate},
	} {
		if got := pi.result(c.lease, c.status, ""); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	r.want(id, task.Queued, 1)
	r.pass(3 * time.Second)
	second := pi.one()
	if second.Attempt != 2 || second.Token == first.Token {
		t.Fatalf("second attempt %+v", second)
	}
	for _, c := range []struct {
		name  string
		lease task.Lease
		want  wire.Verdict
	}{{"the first attempt", first, wire.Duplicate}, {"the second", second, wire.Recorded}, {"the second again", second, wire.Duplicate}} {
		if got := pi.result(c.lease, task.AttemptCompleted, ""); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	r.want(id, task.Completed, 2)
	r.start() // the verdicts do not hang on what is in memory
	pi.hello()
	if got := pi.result(second, task.AttemptFailed, ""); got != wire.Duplicate {
		t.Errorf("after a restart: %s", got)
	}
	r.want(id, task.Completed, 2)
}

func TestMissingOutputIsAskedFor(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Output{Lease: l, Piece: wire.Piece{Stream: task.Stdout, Text: "abc"}})
	r.tell(pi.session, &wire.Output{Lease: l, Piece: wire.Piece{Stream: task.Stdout, Position: 6, Text: "ghi"}}) // a gap
	r.tell(pi.session, &wire.Output{Lease: l, Piece: wire.Piece{Stream: task.Stdout, Position: 1, Text: "bc"}})  // is there already
	done := &wire.Result{Lease: l, Status: task.AttemptCompleted, OutputBytes: 9}
	if j := r.ask(pi.session, done).(wire.Judged); j.Verdict != wire.Resend || j.OutputBytes != 3 {
		t.Fatalf("%+v", j)
	}
	r.tell(pi.session, &wire.Output{Lease: l, Piece: wire.Piece{Stream: task.Stdout, Position: 2, Text: "cdefghi"}})
	if j := r.ask(pi.session, done).(wire.Judged); j.Verdict != wire.Recorded {
		t.Fatalf("%+v", j)
	}
	var all strings.Builder
	chunks, _ := r.db.Output(context.Background(), id, 1, 0, 100)
	for _, c := range chunks {
		all.Write(c.Data)
	}
	if all.String() != "abcdefghi" {
		t.Errorf("kept %q", all.String())
	}
}

func TestLostDevice(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	pi.lose()
	r.pass(299 * time.Second)
	if s, _ := r.c.devices["pi"].status(); s != device.Online {
		t.Errorf("after 299 s it is %s", s)
	}
	r.pass(time.Second)
	if s, why := r.c.devices["pi"].status(); s != device.Offline || !strings.Contains(why, "5m0s") {
		t.Errorf("after 300 s it is %s: %s", s, why)
	}
	r.pass(149 * time.Second)
	r.want(id, task.Running, 1) // offline is for people; only the end of the lease moves a task
	r.pass(time.Second)
	if got := r.want(id, task.Queued, 1); got.Losses != 1 || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
	// Late, but nobody else has begun: the attempt still counts.
	pi.hello(wire.Held{Lease: l, State: wire.HeldRunning})
	if got := r.want(id, task.Running, 1); got.Losses != 0 {
		t.Errorf("taken back, and still counted as lost: %+v", got)
	}
	if v := pi.result(l, task.AttemptCompleted, "x"); v != wire.Recorded {
		t.Errorf("verdict %s", v)
	}
	r.want(id, task.Completed, 1)
}

func TestLateResultAfterAnotherAttempt(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	pi.lose()
	r.pass(451 * time.Second)
	tab := r.device("tab", 1)
	second := tab.one()
	w := pi.hello(wire.Held{Lease: l, State: wire.HeldRunning}).(wire.Welcome)
	if w.Held[0].Verdict != wire.Kill {
		t.Errorf("an attempt that is not wanted: %s", w.Held[0].Verdict)
	}
	if v := pi.result(l, task.AttemptCompleted, "late"); v != wire.Stale {
		t.Errorf("verdict %s", v)
	}
	if v := tab.result(second, task.AttemptCompleted, "second"); v != wire.Recorded {
		t.Errorf("verdict %s", v)
	}
	if got := r.want(id, task.Completed, 2); got.Device != "tab" {
		t.Errorf("%+v", got)
	}
}

func TestRestartTakesAttemptsBack(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	ids := r.submit(admin, 3)
	given := pi.assigned()
	r.tell(pi.session, &wire.Accept{Lease: given[0].Task.Lease})
	r.start()
	r.pass(400 * time.Second) // longer than it would be offline for; the lease is counted from the start
	r.want(ids[0], task.Running, 1)
	r.want(ids[1], task.Assigned, 1)
	pi.hello(wire.Held{Lease: given[0].Task.Lease, State: wire.HeldRunning}, wire.Held{Lease: given[1].Task.Lease, State: wire.HeldRunning})
	r.want(ids[0], task.Running, 1)
	r.want(ids[1], task.Running, 1)
	r.want(ids[2], task.Queued, 0)
	for i, id := range ids[:2] {
		if v := pi.result(given[i].Task.Lease, task.AttemptCompleted, ""); v != wire.Recorded {
			t.Errorf("%s: %s", id, v)
		}
	}
	if next := pi.one(); next.Task != ids[2] || next.Attempt != 1 {
		t.Errorf("next is %+v", next)
	}
}

func TestWorkerRestartIsNoticedAtOnce(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	for n := 1; n <= lostLimit; n++ {
		l := pi.one()
		r.tell(pi.session, &wire.Accept{Lease: l})
		pi.boot, pi.number = pi.boot+1, 0
		pi.hello() // holds nothing
		if n < lostLimit {
			r.want(id, task.Assigned, n+1) // again, at once
		}
	}
	got := r.want(id, task.Failed, lostLimit)
	if !strings.HasPrefix(got.Reason, "lost_limit") || got.Losses != lostLimit || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAssignmentThatNeverArrivedIsNoLoss(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	for n := 1; n <= 2*lostLimit; n++ {
		pi.one() // goes astray with the connection
		pi.hello()
		if got := r.want(id, task.Assigned, n+1); got.Losses != 0 {
			t.Fatalf("%+v", got)
		}
	}
}

func TestHeartbeatFindsWhatOnlyOneSideBelieves(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	ids := r.submit(admin, 2)
	given := pi.assigned()
	beat := &wire.Heartbeat{AssignSeen: 1, Held: []wire.Held{{Lease: task.Lease{Task: 99, Attempt: 1, Token: "orphan"}, State: wire.HeldRunning}}}
	beat.Status = device.Online
	ack := r.ask(pi.session, beat).(wire.HeartbeatAck)
	if len(ack.Kill) != 1 || ack.Kill[0].Task != 99 {
		t.Errorf("kill %v", ack.Kill)
	}
	r.want(ids[0], task.Assigned, 2) // read but not held: lost, and given anew
	r.want(ids[1], task.Assigned, 1) // not read yet: on its way
	if again := pi.one(); again.Task != given[0].Task.Task || again.Attempt != 2 {
		t.Errorf("%+v", again)
	}
}

func TestSessionsAreOrdered(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	first := pi.session
	pi.hello()
	if !r.shut[first] {
		t.Error("the older session is still open")
	}
	newest := pi.session
	pi.number -= 2 // a hello that was under way for long
	e, ok := pi.hello().(*wire.Error)
	if !ok || e.Code != "E_STALE_SESSION" || e.BootCount != 1 {
		t.Errorf("answer %v", e)
	}
	if r.shut[newest] || r.c.devices["pi"].session.id != newest {
		t.Error("an old hello pushed out the newest session")
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	ids := r.submit(admin, 2)
	l := pi.one()
	r.round(&Input{query: func(c *Core) {
		if !c.Cancel(ids[0]) || !c.Cancel(ids[1]) || c.Cancel(ids[1]) || c.Cancel(77) {
			t.Error("cancel said the wrong thing")
		}
	}})
	r.want(ids[0], task.Cancelled, 1)
	r.want(ids[1], task.Cancelled, 0)
	var told bool
	for _, m := range r.said[pi.session] {
		if k, ok := m.Body.(wire.Cancel); ok && k.Lease == l {
			told = true
		}
	}
	if !told {
		t.Error("the device was not told")
	}
	if v := pi.result(l, task.AttemptCompleted, ""); v != wire.Stale {
		t.Errorf("a result after the cancel: %s", v)
	}
	r.round(&Input{query: func(c *Core) {
		if !c.Retry(ids[0]) || c.Retry(ids[0]) {
			t.Error("retry said the wrong thing")
		}
	}})
	r.want(ids[0], task.Assigned, 2)
	if next := pi.one(); next.Attempt != 2 {
		t.Errorf("%+v", next)
	}
}

func TestRetryAndItsEndInOneRound(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	id := r.submit(admin, 1)[0]
	r.round(&Input{query: func(c *Core) { c.Cancel(id); c.Retry(id); c.Cancel(id); c.Retry(id) }})
	r.want(id, task.Queued, 0)
	if n := r.c.counts.byState[task.Queued]; n != 1 {
		t.Errorf("%d queued", n)
	}
}

func TestDrainAndRemove(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "p"}) // the beginning of its name will do
	ids := r.submit(admin, 1)
	if got := pi.assigned(); len(got) != 0 {
		t.Fatal("a draining device was given a task")
	}
	r.start() // draining is remembered
	pi.hello()
	r.ask(pi.session, &device.Profile{Slots: 2, TaskTypes: []string{task.TypeEcho}})
	if got := pi.assigned(); len(got) != 0 {
		t.Fatal("a draining device was given a task after a restart")
	}
	admin = r.client(wire.RoleAdmin)
	r.ask(admin, &deviceAction{verb: wire.TypeUndrain, name: "pi"})
	pi.one()
	r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "pi"})
	if got := r.want(ids[0], task.Queued, 1); got.Losses != 0 {
		t.Errorf("%+v", got)
	}
	if e, ok := pi.hello().(*wire.Error); !ok || !errors.Is(e, wire.ErrRevoked) {
		t.Error("a removed device was welcome")
	}
}

func TestKeys(t *testing.T) {
	r := newRig(t)
	admin, other := r.client(wire.RoleAdmin), r.client(wire.RoleSubmit)
	echo := func(texts ...string) (specs []task.Spec) {
		for _, s := range texts {
			specs = append(specs, task.Spec{Type: task.TypeEcho, Payload: json.RawMessage(fmt.Sprintf(`{"message":%q}`, s))})
		}
		return specs
	}
	submit := func(session int64, index int, texts ...string) any {
		return r.ask(session, &wire.Submit{Key: "nightly", KeyIndex: index, Tasks: echo(texts...)})
	}
	first := submit(admin, 0, "a", "b", "c").(wire.Submitted)
	again := submit(admin, 0, "a", "b", "c").(wire.Submitted)
	if !slices.Equal(again.Tasks, first.Tasks) || again.Duplicates != 3 || again.Job != first.Job {
		t.Errorf("again: %+v", again)
	}
	if part := submit(admin, 1, "b", "c").(wire.Submitted); !slices.Equal(part.Tasks, first.Tasks[1:]) {
		t.Errorf("cut into other pages: %+v", part)
	}
	if e, ok := submit(admin, 0, "a", "x").(*wire.Error); !ok || !errors.Is(e, task.ErrKeyReused) {
		t.Errorf("another task under the same key: %v", e)
	}
	if e, ok := submit(admin, 2, "c", "d").(*wire.Error); !ok || !errors.Is(e, task.ErrKeyReused) {
		t.Errorf("half of it new: %v", e)
	}
	if theirs := submit(other, 0, "a", "b", "c").(wire.Submitted); theirs.Duplicates != 0 {
		t.Error("a key is one principal's own")
	}
	// Twice in one round, as when an answer was lost and both copies wait.
	twice := &wire.Submit{Key: "k2", Tasks: echo("z")}
	r.round(&Input{Session: admin, Message: wire.Message{ID: "1"}, Body: twice}, &Input{Session: admin, Message: wire.Message{ID: "2"}, Body: twice})
	ms := r.said[admin]
	if a, b := ms[len(ms)-2].Body.(wire.Submitted), ms[len(ms)-1].Body.(wire.Submitted); a.Tasks[0] != b.Tasks[0] || b.Duplicates != 1 {
		t.Errorf("%+v %+v", a, b)
	}
}

func TestRoles(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	submit := &wire.Submit{Tasks: []task.Spec{{Type: task.TypeEcho}}}
	for _, c := range []struct {
		session int64
		body    any
		may     bool
	}{
		{r.client(wire.RoleRead), submit, false}, {r.client(wire.RoleSubmit), submit, true}, {r.client(wire.RoleAdmin), submit, true},
		{pi.session, submit, false}, {99, submit, false},
		{r.client(wire.RoleSubmit), &wire.Invite{}, false}, {r.client(wire.RoleSubmit), &deviceAction{verb: wire.TypeDrain, name: "pi"}, false},
		{r.client(wire.RoleAdmin), &wire.Accept{}, false}, {r.client(wire.RoleAdmin), &wire.Result{}, false}, {r.client(wire.RoleAdmin), &wire.Invite{Addresses: []string{"nas:8080"}}, true},
	} {
		r.c.fingerprint = strings.Repeat("a", 52)
		_, refused := r.ask(c.session, c.body).(*wire.Error)
		if refused == c.may {
			t.Errorf("%T: may be %v, was refused %v", c.body, c.may, refused)
		}
	}
}

func TestInvitationIsForOneKey(t *testing.T) {
	r := newRig(t)
	r.c.fingerprint = strings.Repeat("a", 52)
	admin := r.client(wire.RoleAdmin)
	code, err := wire.ParseJoinCode(r.ask(admin, &wire.Invite{Addresses: []string{"nas:8080"}, Expires: 60}).(wire.Invited).Code)
	if err != nil {
		t.Fatal(err)
	}
	join := func(name, secret string) any {
		r.last++
		return r.join(r.last, &wire.Join{Protocol: wire.Spoken, Invite: code.ID, Secret: secret, Name: name})
	}
	refused := func(what string, answer any) {
		t.Helper()
		if e, ok := answer.(*wire.Error); !ok || !errors.Is(e, wire.ErrJoin) {
			t.Errorf("%s: %v", what, answer)
		}
	}
	refused("a wrong secret", join("thief", strings.Repeat("x", 26)))
	for range 2 { // the same key may ask again: the answer may have been lost
		if j, ok := join("pi", code.Secret).(wire.Joined); !ok || j.DeviceID != "pi" {
			t.Fatalf("%+v", j)
		}
	}
	r.start()
	refused("used, by another key, after a restart", join("thief", code.Secret))
	admin = r.client(wire.RoleAdmin)
	r.c.fingerprint = strings.Repeat("a", 52)
	code, _ = wire.ParseJoinCode(r.ask(admin, &wire.Invite{Addresses: []string{"nas:8080"}, Expires: 60}).(wire.Invited).Code)
	r.pass(61 * time.Second)
	refused("too old", join("late", code.Secret))
}

func TestRetriesWaitAndGoElsewhere(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1, func(s *task.Spec) { s.Retries = 2 })[0]
	l := pi.one()
	tab := r.device("tab", 1)
	pi.result(l, task.AttemptFailed, "")
	r.pass(time.Second)
	r.want(id, task.Queued, 1)
	r.pass(2 * time.Second)
	l = tab.one() // not where it failed
	tab.result(l, task.AttemptTimedOut, "")
	r.pass(5 * time.Second)
	l = pi.one()
	pi.result(l, task.AttemptFailed, "")
	if got := r.want(id, task.Failed, 3); got.Failures != 3 || got.Losses != 0 || got.Reason != "failed" {
		t.Errorf("%+v", got)
	}
}

func TestWhyWaiting(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	why := func(id task.ID) string { return r.c.whyWaiting(r.c.task(id)) }
	id := r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Tags = []string{"usb"} })[0]
	if got := why(id); !strings.Contains(got, "no device has joined") {
		t.Error(got)
	}
	pi := r.device("pi", 1)
	if got := why(id); !strings.Contains(got, "no tag usb") {
		t.Error(got)
	}
	ids := r.submit(admin, 2)
	if got := why(ids[1]); !strings.Contains(got, "free slot on pi") {
		t.Error(got)
	}
	pi.lose()
	if got := why(ids[1]); !strings.Contains(got, "not at work: pi") {
		t.Error(got)
	}
}

// Whatever happens, what the core counts is what the store holds, and every event has the next number.
func TestCountsAndEvents(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 3)
	ids := r.submit(admin, 10)
	for i, a := range pi.assigned() {
		pi.result(a.Task.Lease, []task.Outcome{task.AttemptCompleted, task.AttemptFailed, task.AttemptTimedOut}[i], "output")
	}
	r.round(&Input{query: func(c *Core) { c.Cancel(ids[9]); c.Retry(ids[1]) }})
	byState, today, output, err := r.db.Counts(context.Background(), r.now.Truncate(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range task.States() {
		if byState[s] != r.c.counts.byState[s] {
			t.Errorf("%s: %d stored, %d counted", s, byState[s], r.c.counts.byState[s])
		}
	}
	if today != r.c.counts.today || output != r.c.counts.output {
		t.Errorf("today %d, %d; output %d, %d", today, r.c.counts.today, output, r.c.counts.output)
	}
	events, err := r.db.Events(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has the number %d", i+1, e.Seq)
		}
	}
	if events[len(events)-1].Seq != r.c.lastEvent || events[0].Kind != cluster.MainStarted {
		t.Errorf("%d events, the last is %d", len(events), r.c.lastEvent)
	}
}
