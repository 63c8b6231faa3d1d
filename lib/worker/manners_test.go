package worker

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// phone is the manners that a phone's owner would choose.
var phone = Manners{PauseBelow: 30, ResumeAbove: 60, BatteryHeat: 45, Heat: 90}

func on(battery float64, charging bool) device.Metrics {
	return device.Metrics{Battery: &battery, Charging: &charging}
}

func warmth(battery, hottest float64) device.Metrics {
	return device.Metrics{BatteryHeat: &battery, Temperature: &hottest}
}

// A device is asked again and again, and says why it does not work: not, standing still, or at all.
func TestManners(t *testing.T) {
	busy := phone
	busy.OthersLoad = 2
	charged := phone
	charged.OnlyCharging = true
	night := Manners{Quiet: Hours{22 * time.Hour, 7 * time.Hour}}
	at := func(clock string) look {
		now, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return look{now: now}
	}
	is := func(m device.Metrics) look { return look{Metrics: m} }
	type seen struct {
		look look
		want string // part of the reason; empty: it works
		halt bool
	}
	for name, c := range map[string]struct {
		manners Manners
		looks   []seen
	}{
		"no rule":          {Manners{}, []seen{{is(on(1, false)), "", false}, {is(warmth(80, 120)), "", false}}},
		"nothing is known": {busy, []seen{{look{}, "", false}}},
		"battery": {phone, []seen{
			{is(on(100, false)), "", false}, {is(on(30, false)), "", false}, {is(on(29, false)), "at 29 %: it works again when it is charged, or above 60 %", true},
			{is(on(31, false)), "at 31 %", true}, {is(on(59, false)), "at 59 %", true}, {is(on(60, false)), "", false}, {is(on(31, false)), "", false},
		}},
		"charged":                       {phone, []seen{{is(on(20, false)), "at 20 %", true}, {is(on(20, true)), "", false}, {is(on(70, true)), "", false}}},
		"a dead battery on the mains":   {phone, []seen{{is(on(0, true)), "", false}}},
		"only while it is charged":      {charged, []seen{{is(on(100, false)), "only while it is charged", true}, {is(on(5, true)), "", false}}},
		"a desk computer, only charged": {charged, []seen{{look{}, "", false}}},
		"heat of the battery": {phone, []seen{
			{is(warmth(45, 50)), "", false}, {is(warmth(46, 50)), "its battery is 46 °C hot: it works again below 40 °C", false},
			{is(warmth(51, 50)), "51 °C", true}, {is(warmth(41, 50)), "41 °C", true}, {is(warmth(40, 50)), "", false},
		}},
		"heat": {phone, []seen{{is(warmth(30, 91)), "it is 91 °C hot", false}, {is(warmth(30, 96)), "96", true}, {is(warmth(30, 85)), "", false}}},
		"others": {busy, []seen{
			{look{Metrics: device.Metrics{Load: []float64{4.5}}, busy: 3}, "", false}, // it is its own
			{look{Metrics: device.Metrics{Load: []float64{5.5}}, busy: 3}, "others use it, with a load of 2.5", false},
			{look{Metrics: device.Metrics{Load: []float64{4.9}}}, "load of 1.9", false}, // its own are over, but still in the average
			{look{Metrics: device.Metrics{Load: []float64{1.6}}, since: time.Hour}, "load of 1.6", false},
			{look{Metrics: device.Metrics{Load: []float64{1.5}}, since: 2 * time.Hour}, "", false},
		}},
		"charging is not known": {phone, []seen{{is(device.Metrics{Battery: new(float64)}), "", false}}},
		"one rule does not hide another": {phone, []seen{
			{is(on(29, false)), "at 29 %", true}, {is(warmth(46, 96)), "it is 96 °C hot", true}, {is(warmth(46, 91)), "it is 91 °C hot", true},
		}},
		"quiet hours": {night, []seen{
			{at("21:59"), "", false}, {at("22:00"), "quiet until 07:00", true}, {at("03:00"), "quiet", true}, {at("07:00"), "", false},
		}},
	} {
		g := guest{Manners: c.manners}
		for i, s := range c.looks {
			got := g.look(&s.look)
			if (got.Reason == "") != (s.want == "") || !strings.Contains(got.Reason, s.want) || got.Halt != s.halt {
				t.Errorf("%s, look %d: %+v, want %q, %v", name, i+1, got, s.want, s.halt)
			}
		}
	}
}

// A battery that is watched from 100 to 20 percent, then charged to 70: it pauses once and resumes once.
func TestBatteryPausesAndResumesOnce(t *testing.T) {
	g := guest{Manners: phone}
	var said []string
	working := true
	step := func(level float64, charging bool, minute int) {
		l := look{Metrics: on(level, charging), since: time.Duration(minute) * time.Minute, usual: 2 * time.Minute}
		p := g.look(&l)
		if now := p.Reason == ""; now != working {
			working = now
			said = append(said, map[bool]string{true: "resumes", false: "pauses"}[now])
		}
	}
	minute := 0
	for level := 100.0; level >= 20; level -= 0.5 {
		step(level, false, minute)
		minute++
	}
	for level := 20.0; level <= 70; level++ {
		step(level, true, minute)
		minute++
	}
	if got := strings.Join(said, " "); got != "pauses resumes" {
		t.Error(got)
	}
}

// Nothing is begun that the battery would not last for, however long it is watched.
func TestBatterySlope(t *testing.T) {
	g := guest{Manners: phone}
	at := func(minute float64, usual time.Duration) string {
		l := look{Metrics: on(100-minute/2, false), since: time.Duration(minute * float64(time.Minute)), usual: usual}
		return g.look(&l).Reason
	}
	reasons := map[string]bool{}
	for minute := 0.0; minute < 100; minute += 0.25 { // by then it is at 50 %
		reason := at(minute, 3*time.Hour)
		if reasons[reason] = true; (reason == "") != (minute < 2) {
			t.Errorf("at %g minutes: %q", minute, reason)
		}
	}
	if len(reasons) > 2 || !reasons["its battery would not last for a task, which takes about 3h0m here: it works again when it is charged"] {
		t.Errorf("%v", reasons)
	}
	for _, c := range []struct {
		usual time.Duration
		works bool
	}{{35 * time.Minute, false}, {30 * time.Minute, true}, {39 * time.Minute, true}, {41 * time.Minute, false}} { // 40 are left, and what did not last must last surely
		if reason := at(100, c.usual); (reason == "") != c.works {
			t.Errorf("tasks of %v: %q", c.usual, reason)
		}
	}
}

func TestMannersThatMakeNoSense(t *testing.T) {
	for _, m := range []Manners{{PauseBelow: 101}, {PauseBelow: 50, ResumeAbove: 40}, {ResumeAbove: -1}, {Heat: -3}, {PauseBelow: math.NaN()}, {Heat: math.NaN()}, {OthersLoad: math.Inf(1)}} {
		if m.Check() == nil {
			t.Errorf("%+v", m)
		}
	}
	if err := phone.Check(); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{"22:00-07:00": "22:00-07:00", " 9:05 - 17:30 ": "09:05-17:30", "": "", "22-7": "!", "22:00": "!", "25:00-1:00": "!", "8:00-8:00": "!"} {
		var h Hours
		if err := h.UnmarshalText([]byte(text)); (err != nil) != (want == "!") || err == nil && h.String() != want {
			t.Errorf("%q: %v, %v", text, h, err)
		}
	}
}

// What runs stands still when the owner wants the device, and is given back if that takes long. What must not be begun again waits.
func TestHalt(t *testing.T) {
	r := newRig(t, 3)
	r.c.GiveBackAfter(5 * time.Minute)
	r.connect()
	r.assign(1)
	r.assignAs(2, func(s *task.Spec) { s.AtMostOnce = true })
	take[Effect](r)
	r.step(Pressed{Reason: "its battery is low", Halt: true})
	if got := take[HaltAll](r); len(got) != 1 || !got[0].On {
		t.Fatalf("%v", got)
	}
	r.step(Pressed{Reason: "its battery is lower", Halt: true})
	if got := take[HaltAll](r); len(got) != 0 {
		t.Errorf("again: %v", got)
	}
	r.pass(5*time.Minute - time.Second)
	if got := take[KillAttempt](r); len(got) != 0 {
		t.Errorf("too soon: %v", got)
	}
	for range 3 { // a heartbeat may come between
		wait := r.c.Next().Sub(r.now)
		if wait <= 0 {
			t.Fatal("it does not wait for anything")
		}
		r.pass(wait)
	}
	if got := take[KillAttempt](r); len(got) != 1 || got[0].Lease != lease(1) || got[0].Reason != "its battery is lower" {
		t.Errorf("%v", got)
	}
	r.end(1, task.AttemptCancelled)
	r.wantSent(`result 1 released "" of 0`)
	r.step(Pressed{})
	if got := take[HaltAll](r); len(got) != 1 || got[0].On {
		t.Errorf("%v", got)
	}
	if b := r.c.Held(); len(b) != 2 || b[1].State != wire.HeldRunning {
		t.Errorf("%+v", b)
	}
}

// A worker that is to end does not wait for what stands still: that is given back, though nobody hears of it now, or goes on.
func TestDrainWhileHalted(t *testing.T) {
	r := newRig(t, 3)
	r.c.StandStill(func(taskType string) bool { return taskType != task.TypeSleep })
	r.connect()
	r.assign(1)
	r.assignAs(2, func(s *task.Spec) { s.AtMostOnce = true })
	r.assignAs(3, func(s *task.Spec) { s.Type = task.TypeSleep })
	r.step(Pressed{Reason: "quiet", Halt: true})
	r.step(Disconnected{})
	take[Effect](r)
	r.step(Drain{})
	var killed []task.Lease
	on := true
	for _, e := range r.done {
		switch e := e.(type) {
		case KillAttempt:
			killed = append(killed, e.Lease)
		case HaltAll:
			on = e.On
		}
	}
	if len(killed) != 1 || killed[0] != lease(1) || on {
		t.Errorf("killed %v, stands still %v", killed, on)
	}
	take[Effect](r)
	r.step(Pressed{Reason: "quieter", Halt: true})
	if got := take[HaltAll](r); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
