package worker

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// Manners is how a device behaves as a guest of its owner: when it takes no tasks, and when those that run stand still. A rule whose number is zero is off,
// and one about something that the device does not tell never applies.
type Manners struct {
	OnlyCharging  bool
	PauseBelow    float64       // percent of the battery, while nothing charges it
	ResumeAbove   float64       // percent, from which it works on its battery again
	BatteryHeat   float64       // °C of the battery
	Heat          float64       // °C of the hottest part
	OthersLoad    float64       // load average of what is not this worker's
	Quiet         Hours         // of the day, by the device's own clock
	GiveBackAfter time.Duration // what stands still for so long may run elsewhere; 0: it stands still until it may go on
}

// Hours is a part of the day, which may go past midnight. The zero value is no time at all.
type Hours struct{ From, To time.Duration } // since midnight

// UnmarshalText reads "22:00-07:30".
func (h *Hours) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hours{}
		return nil
	}
	from, to, found := strings.Cut(string(text), "-")
	var err1, err2 error
	h.From, err1 = timeOfDay(from)
	h.To, err2 = timeOfDay(to)
	if !found || err1 != nil || err2 != nil || h.From == h.To {
		return fmt.Errorf("%.40q: two times of a day, as in 22:00-07:00", text)
	}
	return nil
}

// MarshalText writes it as UnmarshalText reads it.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h Hours) String() string {
	if h == (Hours{}) {
		return ""
	}
	return clockTime(h.From) + "-" + clockTime(h.To)
}

func clockTime(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d/time.Hour), int(d/time.Minute)%60)
}

func timeOfDay(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", strings.TrimSpace(s))
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err
}

// include says whether a time is in them.
func (h Hours) include(t time.Time) bool {
	now := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	if h.From <= h.To {
		return h.From <= now && now < h.To
	}
	return h.From <= now || now < h.To
}

// Check says what makes no sense.
func (m *Manners) Check() error {
	percent := func(x float64) bool { return x >= 0 && x <= 100 }
	limit := func(x float64) bool { return x >= 0 && x < 1e6 }
	switch {
	case !percent(m.PauseBelow) || !percent(m.ResumeAbove):
		return errors.New("a battery's level is between 0 and 100 percent")
	case m.PauseBelow > 0 && m.ResumeAbove < m.PauseBelow:
		return fmt.Errorf("it would work again above %g %% and pause below %g %%", m.ResumeAbove, m.PauseBelow)
	case !limit(m.Heat) || !limit(m.BatteryHeat) || !limit(m.OthersLoad):
		return errors.New("a limit is a number, and not negative")
	}
	return nil
}

// How far back something must go before it does not matter any more, and how much further up it must go before what runs stands still.
const (
	cooler  = 5.0 // °C
	tooHot  = 5.0 // °C
	quieter = 0.75
	surely  = 1.25 // times as long as a task takes must a battery last that did not
)

// guest applies the manners to what the device tells, one look after another.
type guest struct {
	Manners
	low, scarce bool // the battery was so at the last look
	hot         heat
	batteryHot  heat
	busy        bool // with what is not this worker's
	drain       drain
	own         own
}

// look is what a device is like at a time.
type look struct {
	device.Metrics
	now   time.Time     // by the clock of the wall, where the device is
	since time.Duration // of a clock that nobody sets
	busy  int           // slots that do something
	usual time.Duration // that an attempt lasts here
}

// look says whether the device works now. Every rule looks every time; the one that has it stand still is the reason given.
func (g *guest) look(l *look) (p Pressed) {
	for _, rule := range []func(*look) Pressed{g.quiet, g.battery, g.heat, g.load} {
		if r := rule(l); p.Reason == "" || r.Halt && !p.Halt {
			p = r
		}
	}
	return p
}

func (g *guest) quiet(l *look) Pressed {
	if g.Quiet == (Hours{}) || !g.Quiet.include(l.now) {
		return Pressed{}
	}
	return Pressed{Reason: "its owner wants quiet until " + clockTime(g.Quiet.To), Halt: true}
}

func (g *guest) battery(l *look) Pressed {
	if l.Battery == nil || l.Charging == nil || *l.Charging {
		g.low, g.scarce, g.drain = false, false, drain{}
		return Pressed{}
	}
	if g.OnlyCharging {
		return Pressed{Reason: "it runs on its battery, and works only while it is charged", Halt: true}
	}
	if g.PauseBelow == 0 {
		return Pressed{}
	}
	level := *l.Battery
	g.drain.note(level, l.since)
	if g.low = level < g.PauseBelow || g.low && level < g.ResumeAbove; g.low {
		return Pressed{Reason: fmt.Sprintf("its battery is at %g %%: it works again when it is charged, or above %g %%", level, g.ResumeAbove), Halt: true}
	}
	left, known := g.drain.until(g.PauseBelow)
	need := float64(l.usual)
	if g.scarce {
		need *= surely
	}
	if g.scarce = known && float64(left) < need; g.scarce {
		return Pressed{Reason: fmt.Sprintf("its battery would not last for a task, which takes about %s here: it works again when it is charged", roughly(l.usual))}
	}
	return Pressed{}
}

// roughly is a time to a minute, or a second where it is short.
func roughly(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func (g *guest) heat(l *look) Pressed {
	battery := g.batteryHot.look("its battery", l.BatteryHeat, g.BatteryHeat)
	if all := g.hot.look("it", l.Temperature, g.Heat); battery.Reason == "" || all.Halt && !battery.Halt {
		return all
	}
	return battery
}

// heat is whether something is too hot to take a task, and too hot to go on at all: both last until it is cool again.
type heat struct{ hot, halt bool }

func (h *heat) look(what string, now *float64, limit float64) Pressed {
	if limit == 0 || now == nil {
		*h = heat{}
		return Pressed{}
	}
	if h.hot = *now > limit || h.hot && *now > limit-cooler; !h.hot {
		*h = heat{}
		return Pressed{}
	}
	h.halt = h.halt || *now > limit+tooHot
	return Pressed{Reason: fmt.Sprintf("%s is %.0f °C hot: it works again below %.0f °C", what, *now, limit-cooler), Halt: h.halt}
}

func (g *guest) load(l *look) Pressed {
	own := g.own.look(l)
	if g.OthersLoad == 0 || len(l.Load) == 0 {
		return Pressed{}
	}
	others := max(l.Load[0]-own, 0)
	if g.busy = others > g.OthersLoad || g.busy && others > quieter*g.OthersLoad; !g.busy {
		return Pressed{}
	}
	return Pressed{Reason: fmt.Sprintf("others use it, with a load of %.1f: it works again below %.1f", others, quieter*g.OthersLoad)}
}

// own is the part of the load that is the tasks', one process each: as the system does, over the last minute, the newest counting most.
type own struct {
	seen bool
	at   time.Duration
	load float64
}

func (o *own) look(l *look) float64 {
	if !o.seen {
		*o = own{true, l.since, float64(l.busy)}
	}
	o.load += (float64(l.busy) - o.load) * (1 - math.Exp(-(l.since - o.at).Minutes()))
	o.at = l.since
	return o.load
}

// drain is how quickly a battery gets empty: its level of the last half hour, a sample a minute.
type drain struct{ samples []sample }

type sample struct {
	level float64
	at    time.Duration
}

const (
	drainLeast = 2 * time.Minute  // that it must be watched for
	drainMost  = 30 * time.Minute // that matter
	drainEvery = time.Minute
)

func (d *drain) note(level float64, at time.Duration) {
	n := len(d.samples)
	if n > 0 && level > d.samples[n-1].level { // it was charged, or rested
		d.samples, n = nil, 0
	}
	if n > 1 && at-d.samples[n-2].at < drainEvery {
		d.samples[n-1] = sample{level, at}
		return
	}
	d.samples = append(d.samples, sample{level, at})
	for at-d.samples[0].at > drainMost {
		d.samples = d.samples[1:]
	}
}

// until is how long it takes to come down to a level.
func (d *drain) until(level float64) (left time.Duration, known bool) {
	if len(d.samples) == 0 {
		return 0, false
	}
	from, last := d.samples[0], d.samples[len(d.samples)-1]
	fell, took := from.level-last.level, last.at-from.at
	if fell <= 0 || took < drainLeast {
		return 0, false
	}
	return time.Duration(max(last.level-level, 0) / fell * float64(took)), true
}
