package mainnode

import (
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// asksFor lets a device say how many attempts it would hold ahead.
func (p *peer) asksFor(ahead int, held ...wire.Held) {
	p.r.t.Helper()
	p.r.ask(p.session, &wire.Heartbeat{Heartbeat: device.Heartbeat{Status: device.Online}, Ahead: ahead, Held: held})
}

// recalled is what the device was asked back since one last looked.
func (p *peer) recalled() (got []task.ID) {
	var rest []wire.Message
	for _, m := range p.r.said[p.session] {
		if b, ok := m.Body.(wire.Recall); ok {
			got = append(got, b.Task)
		} else {
			rest = append(rest, m)
		}
	}
	p.r.said[p.session] = rest
	return got
}

// Slots that are free come first, wherever they are; only then does a device get what it would hold ahead.
func TestAheadComesAfterFreeSlots(t *testing.T) {
	r := newRig(t)
	admin, pi, tab := r.client(wire.RoleAdmin), r.device("pi", 1), r.device("tab", 2)
	pi.asksFor(3)
	r.submit(admin, 4)
	if a, b := len(pi.assigned()), len(tab.assigned()); a != 2 || b != 2 {
		t.Errorf("pi holds %d, tab %d", a, b)
	}
	r.submit(admin, 5)
	if a, b := len(pi.assigned()), len(tab.assigned()); a != 2 || b != 0 {
		t.Errorf("pi was given %d more, tab %d", a, b)
	}
}

// What must not be in doubt, or not be beside others, does not wait on a device; nor does anything when the device has not asked for it lately.
func TestWhatDoesNotWaitOnADevice(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*task.Spec)
		after  time.Duration
		want   int
	}{
		"plain":        {func(*task.Spec) {}, 0, 4},
		"exclusive":    {func(s *task.Spec) { s.Exclusive = true }, 0, 1},
		"at most once": {func(s *task.Spec) { s.AtMostOnce = true }, 0, 1},
		"asked before": {func(*task.Spec) {}, fresh, 1},
	} {
		r := newRig(t)
		admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
		pi.asksFor(3)
		r.now = r.now.Add(c.after)
		r.submit(admin, 6, c.change)
		if got := len(pi.assigned()); got != c.want {
			t.Errorf("%s: it was given %d, want %d", name, got, c.want)
		}
	}
}

// What waits on one device goes to another that could begin it, once the first has given it back: never before, never twice.
func TestRecall(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	pi.asksFor(2)
	ids := r.submit(admin, 3)
	given := pi.assigned()
	r.tell(pi.session, &wire.Accept{Lease: given[0].Task.Lease})
	tab := r.device("tab", 1)
	r.pass(time.Second)
	if got := pi.recalled(); len(got) != 1 || got[0] != ids[2] {
		t.Fatalf("asked back %v, want the last one", got)
	}
	r.pass(5 * time.Second)
	if got := pi.recalled(); len(got) != 0 || len(tab.assigned()) != 0 {
		t.Fatalf("asked for %v again, or given away what was not given back", got)
	}
	r.tell(pi.session, &wire.Release{Lease: given[2].Task.Lease})
	if l := tab.one(); l.Task != ids[2] || l.Attempt != 2 {
		t.Fatalf("the other device was given %v", l)
	}
	if got := r.want(ids[2], task.Assigned, 2); got.Losses != 0 {
		t.Error("what was given back counts as lost")
	}
}

// A device that is to take nothing new is asked for all that it has not begun.
func TestDrainRecalls(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	pi.asksFor(2)
	ids := r.submit(admin, 3)
	r.tell(pi.session, &wire.Accept{Lease: pi.assigned()[0].Task.Lease})
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "pi"})
	if got := pi.recalled(); len(got) != 2 || got[0] != ids[1] || got[1] != ids[2] {
		t.Errorf("asked back %v", got)
	}
}

// What only waited on a device that was lost is blamed once at the most: after that it waits on none.
func TestWhatWaitedIsBlamedOnce(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	ids := r.submit(admin, 6)
	for range 2 {
		pi.asksFor(5)
		pi.boot++
		pi.hello()
		pi.asksFor(5)
	}
	blamed := 0
	for _, id := range ids {
		if r.c.task(id).lastChance() {
			blamed++
		}
	}
	if blamed > 1 {
		t.Errorf("%d tasks are on their last chance, and one was begun twice", blamed)
	}
}

// A task that fits no device does not keep others from being asked back.
func TestRecallBesideWhatFitsNobody(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	pi.asksFor(2)
	r.submit(admin, 3)
	r.submit(admin, 1, func(s *task.Spec) { s.Requirements.GPU = true })
	r.device("tab", 1)
	r.pass(time.Second)
	if got := pi.recalled(); len(got) != 1 {
		t.Errorf("asked back %v", got)
	}
}

// A task goes to a device where it has not failed, also if that one has declined another that it had failed itself.
func TestElsewhereCountsWhoDeclined(t *testing.T) {
	r := newRig(t)
	admin, a, b := r.client(wire.RoleAdmin), r.device("a", 2), r.device("b", 2)
	on := func(device string) func(*task.Spec) {
		return func(s *task.Spec) { s.Requirements.Device, s.Retries = device, 3 }
	}
	first, second := r.submit(admin, 1, on("a"))[0], r.submit(admin, 1, on("b"))[0]
	a.result(a.one(), task.AttemptFailed, "")
	b.result(b.one(), task.AttemptFailed, "")
	for _, id := range []task.ID{first, second} { // from now on they fit both
		open := r.c.task(id)
		open.needs = noNeeds
	}
	r.pass(5 * time.Second)
	if x, y := a.one(), b.one(); x.Task != second || y.Task != first {
		t.Errorf("a was given %v, which failed on %s; b %v", x, map[bool]string{true: "it", false: "b"}[x.Task == first], y)
	}
}

// However often a device gives back what it then says that it holds, the tasks that wait are counted right: rig.commit looks.
func TestGivenBackAndHeldAgain(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	for range 3 {
		r.tell(pi.session, &wire.Release{Lease: l})
		r.want(id, task.Queued, 1)
		pi.asksFor(0, wire.Held{Lease: l, State: wire.HeldRunning})
	}
	r.tell(pi.session, &wire.Release{Lease: l})
	r.pass(5 * time.Second)
	if r.c.open() != 1 {
		t.Errorf("%d tasks are open, want 1", r.c.open())
	}
}

// That an attempt comes back before it began is nothing to be warned of; that one which ran does is.
func TestReturnedAndRequeued(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	r.submit(admin, 1)
	l := pi.one()
	r.c.Decide(r.now, []*Input{{Session: pi.session, Message: wire.Message{Type: "x"}, Body: &wire.Release{Lease: l}}})
	returned := r.c.events
	r.commit()
	if len(returned) != 1 || returned[0].Kind != cluster.TaskReturned || returned[0].Level() != cluster.Debug {
		t.Errorf("given back before it began: %+v", returned)
	}
	r.pass(5 * time.Second)
	l = pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	r.c.Decide(r.now, []*Input{{Session: pi.session, Message: wire.Message{Type: "x"}, Body: &wire.Release{Lease: l, Started: true}}})
	requeued := r.c.events
	r.commit()
	if len(requeued) == 0 || requeued[0].Kind != cluster.TaskRequeued || requeued[0].Level() != cluster.Warning {
		t.Errorf("given back while it ran: %+v", requeued)
	}
}
