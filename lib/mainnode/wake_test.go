package mainnode

import (
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestWake follows who is woken, how often, and when nobody is.
func TestWake(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	sleeper := func(name, tag string, wake bool) *peer {
		p := r.device(name, 1)
		r.tell(p.session, &device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho}, Tags: []string{tag}, Wake: wake, Hardware: device.Hardware{MACs: []string{"02:00:00:00:00:01"}}})
		r.tell(p.session, new(bye))
		return p
	}
	// packets lets time pass, and says when packets were sent.
	packets := func(d time.Duration) (at []int) {
		for s := range int(d / time.Second) {
			r.now = r.now.Add(time.Second)
			r.round()
			for _, e := range r.c.effects {
				if e.Wake != nil {
					at = append(at, s)
				}
			}
		}
		return at
	}
	pi := sleeper("pi", "a", true)
	sleeper("pc", "b", false)
	if at := packets(time.Minute); len(at) > 0 {
		t.Errorf("nothing waits, and it is woken at %v", at)
	}
	r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Tags = []string{"b"} })
	if at := packets(time.Minute); len(at) > 0 {
		t.Errorf("its owner does not want that, and it is woken at %v", at)
	}
	id := r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Tags = []string{"a"} })[0]
	if at := packets(20 * time.Second); len(at) != 4 || at[1]-at[0] != 5 {
		t.Errorf("it is woken at %v", at)
	}
	if status, reason := r.c.devices["pi"].status(); status != device.Offline || reason != "it is being woken" {
		t.Errorf("%s, %s", status, reason)
	}
	if at := packets(15 * time.Minute); len(at) < 30 || len(at) > 80 {
		t.Errorf("it does not wake, and %d packets are sent in a quarter of an hour", len(at))
	}
	pi.hello()
	if takes := r.c.devices["pi"].waking.takes; takes <= 0 || takes > 16*time.Minute {
		t.Errorf("it took %s", takes)
	}
	if l := pi.one(); l.Task != id {
		t.Errorf("it is given %v", l)
	}
	// After a restart of the main node nobody is woken before all had the time to come back.
	r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Tags = []string{"a"} })
	r.start()
	if at := packets(4 * time.Minute); len(at) > 0 {
		t.Errorf("it may be awake, and is woken at %v", at)
	}
	if at := packets(2 * time.Minute); len(at) == 0 {
		t.Error("it is not woken")
	}
}

func TestMagicPacket(t *testing.T) {
	for mac, size := range map[string]int{"00:11:22:33:44:55": 102, "00-11-22-33-44-55": 102, "0011.2233.4455": 102, "": 0, "x": 0, "00:11:22:33:44:55:66:77": 0} {
		if p := magicPacket(mac); len(p) != size || size > 0 && (p[5] != 0xff || p[6] != 0 || p[101] != 0x55) {
			t.Errorf("%q: %x", mac, p)
		}
	}
}

// A device that has slept before is said to be asleep when it is silent, and keeps what it has for as long as others do.
func TestAsleep(t *testing.T) {
	r := newRig(t)
	for name, slept := range map[string]float64{"laptop": 3600, "pi": 0.2} {
		p := r.device(name, 1)
		r.tell(p.session, &wire.Heartbeat{Heartbeat: device.Heartbeat{Status: device.Online, Slept: slept}})
		p.lose()
	}
	r.pass(r.c.set.OfflineAfter + 2*time.Second)
	for name, want := range map[string]string{"laptop": "asleep, as it seems: silent for 5m0s", "pi": "silent for 5m0s"} {
		if status, reason := r.c.devices[name].status(); status != device.Offline || reason != want {
			t.Errorf("%s: %s, %q", name, status, reason)
		}
	}
}

// What somebody asks for goes on for a while, and ends; a device that takes nothing when it was woken is left alone.
func TestWakeEnds(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	p := r.device("pi", 1)
	r.tell(p.session, &device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho}, Wake: true, Hardware: device.Hardware{MACs: []string{"02:00:00:00:00:01"}}})
	r.tell(p.session, new(bye))
	packets := func(d time.Duration) (n int) {
		for range int(d / time.Second) {
			r.now = r.now.Add(time.Second)
			r.round()
			for _, e := range r.c.effects {
				if e.Wake != nil {
					n++
				}
			}
		}
		return n
	}
	r.ask(admin, &deviceAction{verb: wire.TypeWake, name: "pi"})
	if n := packets(10 * time.Minute); n < 30 || n > 40 {
		t.Errorf("%d packets in ten minutes", n)
	}
	if _, reason := r.c.devices["pi"].status(); reason != "it said goodbye" {
		t.Errorf("after ten minutes: %q", reason)
	}
	packets(wakeRest)
	r.submit(admin, 1)
	if packets(10*time.Second) == 0 {
		t.Error("it is not woken for a task")
	}
	p.hello()
	r.tell(p.session, &wire.Heartbeat{Heartbeat: device.Heartbeat{Status: device.Paused, Reason: "its owner wants quiet"}})
	r.tell(p.session, new(bye))
	if n := packets(5 * time.Minute); n > 0 {
		t.Errorf("its owner wants quiet, and it is woken by %d packets", n)
	}
}
