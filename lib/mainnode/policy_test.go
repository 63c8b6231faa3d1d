package mainnode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// losses are the ways in which an attempt leaves its device without a result.
var losses = []struct {
	name  string
	begun bool // it may have been begun
	do    func(r *rig, p *peer, l task.Lease)
}{
	{"the lease ends", true, func(r *rig, p *peer, _ task.Lease) { p.lose(); r.pass(r.c.set.Lease() + time.Second) }},
	{"the worker is restarted", true, func(_ *rig, p *peer, _ task.Lease) { p.boot++; p.hello() }},
	{"a running attempt is gone", true, func(r *rig, p *peer, l task.Lease) {
		r.tell(p.session, &wire.Accept{Lease: l})
		p.hello()
	}},
	{"the assignment got lost", false, func(_ *rig, p *peer, _ task.Lease) { p.hello() }},
	{"given back before it began", false, func(r *rig, p *peer, l task.Lease) { r.tell(p.session, &wire.Release{Lease: l}) }},
	{"given back after it began", true, func(r *rig, p *peer, l task.Lease) { r.tell(p.session, &wire.Release{Lease: l, Started: true}) }},
	{"the device is removed", true, func(r *rig, p *peer, _ task.Lease) {
		r.ask(r.client(wire.RoleAdmin), &deviceAction{verb: wire.TypeRemove, name: p.name})
	}},
}

func TestAtMostOnce(t *testing.T) {
	for _, c := range losses {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			id := r.submit(r.client(wire.RoleAdmin), 1, func(s *task.Spec) { s.AtMostOnce = true })[0]
			pi := r.device("pi", 1)
			c.do(r, pi, pi.one())
			r.pass(3 * time.Second)
			if !c.begun {
				if pi.one().Attempt != 2 {
					t.Error("it was not begun, and not given out again")
				}
				return
			}
			other := r.device("tab", 4)
			r.pass(r.c.set.Lease() + time.Minute)
			if got := r.want(id, task.Failed, 1); !strings.HasPrefix(got.Reason, "outcome_unknown: ") {
				t.Errorf("reason %q", got.Reason)
			}
			if given := other.assigned(); len(given) > 0 {
				t.Error("it was given out again")
			}
		})
	}
}

func TestAtMostOnceByHand(t *testing.T) {
	r := newRig(t)
	id := r.submit(r.client(wire.RoleAdmin), 1, func(s *task.Spec) { s.AtMostOnce = true })[0]
	pi := r.device("pi", 1)
	pi.one()
	pi.boot++
	pi.hello()
	r.want(id, task.Failed, 1)
	r.round(Ask(func(c *Core) {
		if !c.Retry(id) {
			t.Error("it cannot be retried by hand")
		}
	}))
	pi.one()
}

// An exclusive task is given out again only when its former device has certainly ended it.
func TestExclusiveWaitsForItsFormerDevice(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	pi, tab := r.device("pi", 1), r.device("tab", 0)
	ids := r.submit(admin, 1, func(s *task.Spec) { s.Exclusive = true })
	r.tell(pi.session, &wire.Accept{Lease: pi.one()})
	r.tell(tab.session, &device.Profile{Slots: 4, TaskTypes: []string{task.TypeEcho}})
	r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "pi"})
	r.passWith(tab, r.c.set.Lease()-2*time.Second)
	if len(tab.assigned()) > 0 {
		t.Fatal("given out while the removed device may still run it")
	}
	r.passWith(tab, 4*time.Second)
	second := tab.one()
	r.tell(tab.session, &wire.Accept{Lease: second})

	r.round(Ask(func(c *Core) { c.Cancel(ids[0]); c.Retry(ids[0]) })) // and tab has not heard of it yet
	r.pass(time.Minute)
	r.restart(tab, wire.Held{Lease: second, State: wire.HeldRunning}) // nor does a restart forget that
	if len(tab.assigned()) > 0 {
		t.Fatal("given out while it may be running still")
	}
	r.passWith(tab, r.c.set.Lease())
	if third := tab.one(); third.Attempt != 3 {
		t.Fatalf("%+v", third)
	}
}

// passWith lets time pass in which a device is heard of.
func (r *rig) passWith(p *peer, d time.Duration) {
	r.t.Helper()
	for ; d > 0; d -= time.Minute {
		r.ask(p.session, &wire.Heartbeat{})
		r.pass(min(d, time.Minute))
	}
}

// restart restarts the main node, and has a device say hello again.
func (r *rig) restart(p *peer, held ...wire.Held) {
	r.t.Helper()
	r.start()
	p.hello(held...)
}

func TestRetryOnAndBackoff(t *testing.T) {
	exit := func(code int) *int { return &code }
	for _, c := range []struct {
		name   string
		policy task.Policy
		exit   *int
		want   task.State
		wait   time.Duration
	}{
		{"any failure", task.Policy{}, exit(1), task.Queued, 2 * time.Second},
		{"one that counts", task.Policy{RetryOn: []int{75, 3}}, exit(3), task.Queued, 2 * time.Second},
		{"one that does not", task.Policy{RetryOn: []int{75, 3}}, exit(1), task.Failed, 0},
		{"not run at all", task.Policy{RetryOn: []int{75}}, nil, task.Queued, 2 * time.Second},
		{"a short wait", task.Policy{Backoff: 0.5}, exit(1), task.Queued, 500 * time.Millisecond},
		{"a long wait", task.Policy{Backoff: 3600}, exit(1), task.Queued, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			pi := r.device("pi", 1)
			id := r.submit(r.client(wire.RoleAdmin), 1, func(s *task.Spec) { s.Retries, s.Policy = 1, c.policy })[0]
			r.ask(pi.session, &wire.Result{Lease: pi.one(), Status: task.AttemptFailed, Result: wire.ResultBody{ExitCode: c.exit}})
			got := r.want(id, c.want, 1)
			if c.want == task.Queued && !got.Eligible.Equal(r.now.Add(c.wait)) {
				t.Errorf("eligible in %s, want %s", got.Eligible.Sub(r.now), c.wait)
			}
			r.start() // and no restart makes it shorter or longer
			if again := r.want(id, c.want, 1); c.want == task.Queued && !r.c.task(id).row.Eligible.Equal(*again.Eligible) {
				t.Errorf("after a restart eligible at %s", r.c.task(id).row.Eligible)
			}
		})
	}
}

func TestDrainWithin(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	ids := r.submit(admin, 2)
	var held []wire.Held
	for _, a := range pi.assigned() {
		r.tell(pi.session, &wire.Accept{Lease: a.Task.Lease})
		held = append(held, wire.Held{Lease: a.Task.Lease, State: wire.HeldRunning})
	}
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "pi", within: 10 * time.Minute})
	r.pass(9 * time.Minute)
	r.restart(pi, held...) // which does not forget the time
	if r.pass(30 * time.Second); len(r.recalled(pi)) > 0 {
		t.Fatal("recalled too early")
	}
	r.ask(pi.session, &wire.Heartbeat{Held: held})
	r.pass(time.Minute)
	if got := r.recalled(pi); len(got) != 2 {
		t.Fatalf("%d recalled of 2", len(got))
	}
	r.tell(pi.session, &wire.Release{Lease: held[0].Lease, Started: true, Reason: "the time to drain is over"})
	if pi.result(held[1].Lease, task.AttemptCompleted, "") != wire.Recorded { // done at the last moment
		t.Error("a result did not count")
	}
	if got := r.want(ids[0], task.Queued, 1); got.Losses != 0 {
		t.Error("counted as a loss")
	}
	r.want(ids[1], task.Completed, 1)
	if _, reason := r.c.devices["pi"].status(); reason == "" || r.c.shownDevice(r.c.devices["pi"]).Reason != "asked to drain, its time is over" {
		t.Errorf("shown as %q", r.c.shownDevice(r.c.devices["pi"]).Reason)
	}
}

// recalled are the attempts that a device was asked to give back since one last looked.
func (r *rig) recalled(p *peer) (got []task.Lease) {
	for _, m := range r.said[p.session] {
		if k, ok := m.Body.(wire.Cancel); ok && k.GiveBack && !slices.Contains(got, k.Lease) {
			got = append(got, k.Lease)
		}
	}
	r.said[p.session] = nil
	return got
}

func TestTwoMachinesWithOneKey(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	say := func(life string) any { // as a worker does that was refused for its boot count
		pi.boot++
		r.last++
		r.round(&Input{Session: r.last, Fingerprint: "key of pi", Message: wire.Message{Type: "hello", ID: "q"},
			Body: &wire.Hello{Protocol: wire.Spoken, BootCount: pi.boot, Session: 1, Life: life}})
		ms := r.said[r.last]
		return ms[len(ms)-1].Body
	}
	for i := range 20 { // one machine that restarts over and over
		if e, refused := say(fmt.Sprint("life ", i)).(error); refused {
			t.Fatal(e)
		}
	}
	var refused error
	turns := 0
	for ; refused == nil && turns < 20; turns++ {
		refused, _ = say([]string{"one", "two"}[turns%2]).(error)
	}
	if !errors.Is(refused, wire.ErrTwoMachines) || turns != 5 {
		t.Fatalf("after %d turns: %v", turns, refused)
	}
	if e, _ := say("one").(error); !errors.Is(e, wire.ErrTwoMachines) {
		t.Fatal("let in again at once")
	}
	r.pass(twinRest + time.Second)
	if e, refused := say("one").(error); refused {
		t.Fatal(e)
	}
	events, err := r.db.Events(t.Context(), 0, 1000)
	if err != nil || !slices.ContainsFunc(events, func(e cluster.Event) bool { return e.Kind == cluster.DeviceTwice && e.Level() == cluster.Error }) {
		t.Error("no event tells of it")
	}
}

func TestContactLostIsShown(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	r.tell(pi.session, &wire.Accept{Lease: pi.one()})
	pi.lose()
	r.pass(100 * time.Second)
	d := r.c.shownDevice(r.c.devices["pi"])
	if d.Contact != device.ContactLost || *d.LeaseLeft != 350 || d.Reason != "contact lost, 350 s left before its tasks go to others" {
		t.Errorf("device %+v", d)
	}
	shown := r.want(id, task.Running, 1)
	r.c.complete(&shown)
	if shown.Contact != device.ContactLost || *shown.LeaseLeft != 350 || shown.Waiting != "contact lost with pi, 350 s left before the task goes to another" {
		t.Errorf("task %+v", shown)
	}
	pi.hello(wire.Held{Lease: task.Lease{Task: id, Attempt: 1, Token: r.c.task(id).last.Lease}, State: wire.HeldRunning})
	if d := r.c.shownDevice(r.c.devices["pi"]); d.Contact != "" || d.Reason != "" {
		t.Errorf("after it came back %+v", d)
	}
}

func TestOrphansAreListed(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	if got := pi.result(task.Lease{Task: 4242, Attempt: 3, Token: "of another history"}, task.AttemptCompleted, "x"); got != wire.Unknown {
		t.Fatal(got)
	}
	events, err := r.db.Events(t.Context(), 0, 100)
	last := events[len(events)-1]
	if err != nil || last.Kind != cluster.ResultOrphaned || last.Device != "pi" || last.Task != 4242 || last.Attempt != 3 || r.c.metrics().Orphans != 1 {
		t.Fatalf("%+v", last)
	}
}

// A task that takes down every device that it runs on is set aside after three; those that only happened to be beside it are not.
func TestPoisonTakesDownNobodyElse(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	devices := []*peer{r.device("one", 4), r.device("two", 4)}
	poison := r.submit(admin, 1)[0]
	ids := r.submit(admin, 40)
	for round := 0; r.c.open() > 0; round++ {
		if round > 100 {
			t.Fatalf("%d tasks are left", r.c.open())
		}
		for _, d := range devices {
			given := d.assigned()
			for _, a := range given {
				r.tell(d.session, &wire.Accept{Lease: a.Task.Lease})
			}
			if slices.ContainsFunc(given, func(a wire.Assign) bool { return a.Task.Task == poison }) || r.c.task(poison) != nil && r.c.task(poison).device == r.c.devices[d.name] {
				d.boot++ // and all that it holds is gone
				d.hello()
				continue
			}
			for _, o := range r.c.devices[d.name].holding() {
				d.result(o.lease(), task.AttemptCompleted, "")
			}
		}
	}
	if got := r.want(poison, task.Failed, 3); !strings.HasPrefix(got.Reason, "lost_limit") {
		t.Errorf("poison: %s", got.Reason)
	}
	for _, id := range ids {
		if got, _ := r.db.Task(t.Context(), id); got.State != task.Completed {
			t.Errorf("task %s is %s: %s", id, got.State, got.Reason)
		}
	}
}

// onLastChance is a task that was lost with its device twice, and runs there again.
func (r *rig) onLastChance(admin int64) (tab *peer, id task.ID, last task.Lease) {
	r.t.Helper()
	tab = r.device("tab", 1)
	id = r.submit(admin, 1)[0]
	for range 2 {
		tab.one()
		tab.boot++
		tab.hello()
	}
	return tab, id, tab.one()
}

// A device is emptied for a task's last chance, but one that is away is not waited for.
func TestDeviceIsKeptForALastChance(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	tab, id, last := r.onLastChance(admin)
	r.submit(admin, 3)
	if len(tab.assigned()) > 0 {
		t.Fatal("its last chance is not its own")
	}
	pi := r.device("pi", 2)
	busy := pi.assigned()
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "tab"})
	r.tell(tab.session, &wire.Release{Lease: last, Started: true})
	pi.result(busy[0].Task.Lease, task.AttemptCompleted, "")
	if open := r.c.task(id); open.reserved == nil || len(pi.assigned()) > 0 || !strings.Contains(r.c.whyWaiting(open), "until pi has nothing else to do") {
		t.Fatalf("pi is not kept: %s", r.c.whyWaiting(open))
	}
	pi.lose()
	if r.c.task(id).reserved != nil {
		t.Fatal("waits for a device that is away")
	}
	pi.hello(wire.Held{Lease: busy[1].Task.Lease, State: wire.HeldRunning})
	pi.result(busy[1].Task.Lease, task.AttemptCompleted, "")
	if got := pi.one(); got.Task != id {
		t.Fatalf("given %v", got)
	}
	r.round(Ask(func(c *Core) { c.Cancel(id) }))
	if left := pi.one(); left.Task == id { // and then it works as before
		t.Fatal("given again")
	}
}

// The verdict on an end that was told is under way; a heartbeat from before it does not take the attempt back.
func TestEndThatWasToldStays(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	id := r.submit(r.client(wire.RoleAdmin), 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	r.ask(r.client(wire.RoleAdmin), &deviceAction{verb: wire.TypeDrain, name: "pi"})
	if v := r.ask(pi.session, &wire.Result{Lease: l, Status: task.AttemptLost, Reason: "cut off"}).(wire.Judged).Verdict; v != wire.Recorded {
		t.Fatal(v)
	}
	r.ask(pi.session, &wire.Heartbeat{Held: []wire.Held{{Lease: l, State: wire.HeldEnded}}})
	if got := r.want(id, task.Queued, 1); got.Losses != 1 {
		t.Errorf("%d losses", got.Losses)
	}
	if v := r.ask(pi.session, &wire.Result{Lease: l, Status: task.AttemptLost}).(wire.Judged).Verdict; v != wire.Stale {
		t.Errorf("told again: %s", v)
	}
	r.want(id, task.Queued, 1)
}

func TestExclusiveWaitsWhateverTheClockSays(t *testing.T) {
	r := newRig(t)
	tab := r.device("tab", 1)
	id := r.submit(r.client(wire.RoleAdmin), 1, func(s *task.Spec) { s.Exclusive = true })[0]
	r.tell(tab.session, &wire.Accept{Lease: tab.one()})
	r.round(Ask(func(c *Core) { c.Cancel(id); c.Retry(id) }))
	r.now = r.now.AddDate(10, 0, 0) // the clock is set while the main node is away
	r.start()
	tab.hello()
	r.passWith(tab, r.c.set.Lease()-2*time.Second)
	if len(tab.assigned()) > 0 {
		t.Fatal("given out while it may be running still")
	}
	r.passWith(tab, 4*time.Second)
	tab.one()
}

// A long task on the device that is kept does not keep the one that waits, nor the other slots, for ever.
func TestReservationHasAnEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *rig) *peer // gives the device that gets it
	}{
		{"another device is empty", func(r *rig) *peer { return r.device("idle", 1) }},
		{"a lease is over", func(r *rig) *peer { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			admin := r.client(wire.RoleAdmin)
			tab, id, last := r.onLastChance(admin)
			r.submit(admin, 2)
			big := r.device("big", 2)
			held := big.assigned()
			r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "tab"})
			r.tell(tab.session, &wire.Release{Lease: last, Started: true})
			big.result(held[0].Task.Lease, task.AttemptCompleted, "")
			if r.c.task(id).reserved == nil {
				t.Fatal("not kept for it")
			}
			want := c.do(r)
			if want == nil {
				still := wire.Held{Lease: held[1].Task.Lease, State: wire.HeldRunning}
				for range 8 {
					r.ask(big.session, &wire.Heartbeat{Held: []wire.Held{still}})
					r.pass(time.Minute)
				}
				want = big
			}
			if got := want.one(); got.Task != id {
				t.Errorf("given %v", got)
			}
		})
	}
}

func TestExclusiveAtMostOnceOfARemovedDevice(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	pi, tab := r.device("pi", 1), r.device("tab", 0)
	id := r.submit(admin, 1, func(s *task.Spec) { s.Exclusive, s.AtMostOnce = true, true })[0]
	r.tell(pi.session, &wire.Accept{Lease: pi.one()})
	pi.lose()
	r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "pi"})
	r.want(id, task.Failed, 1)
	r.tell(tab.session, &device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho}})
	r.round(Ask(func(c *Core) { c.Retry(id) }))
	r.passWith(tab, r.c.set.Lease()-2*time.Second)
	if len(tab.assigned()) > 0 {
		t.Fatal("begun again while it may be running still")
	}
	r.passWith(tab, 4*time.Second)
	tab.one()
}
