package worker

import (
	"errors"
	"fmt"
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
	switch {
	case m.PauseBelow < 0 || m.PauseBelow > 100 || m.ResumeAbove < 0 || m.ResumeAbove > 100:
		return errors.New("a battery's level is between 0 and 100 percent")
	case m.PauseBelow > 0 && m.ResumeAbove < m.PauseBelow:
		return fmt.Errorf("it would work again above %g %% and pause below %g %%", m.ResumeAbove, m.PauseBelow)
	case m.Heat < 0 || m.BatteryHeat < 0 || m.OthersLoad < 0:
		return errors.New("a limit is not negative")
	}
	return nil
}

// How far back something must go before it does not matter any more, and how much further up it must go before what runs stands still.
const (
	cooler  = 5.0 // °C
	tooHot  = 5.0 // °C
	quieter = 0.75
)

// guest applies the manners to what the device tells, one look after another.
type guest struct {
	Manners
	low, hot, batteryHot, busy bool // what was so at the last look
	drain                      drain
}

// look is what a device is like at a time.
type look struct {
	device.Metrics
	now     time.Time     // by the clock of the wall
	since   time.Duration // of a clock that nobody sets
	running int           // attempts
	usual   time.Duration // that an attempt lasts here
}

// look says whether the device works now.
func (g *guest) look(l *look) Pressed {
	for _, rule := range []func(*look) Pressed{g.quiet, g.battery, g.heat, g.load} {
		if p := rule(l); p.Reason != "" {
			return p
		}
	}
	return Pressed{}
}

func (g *guest) quiet(l *look) Pressed {
	if g.Quiet == (Hours{}) || !g.Quiet.include(l.now) {
		return Pressed{}
	}
	return Pressed{Reason: "its owner wants quiet until " + clockTime(g.Quiet.To), Halt: true}
}

func (g *guest) battery(l *look) Pressed {
	charging := l.Charging != nil && *l.Charging
	if l.Battery == nil || charging {
		g.low, g.drain = false, drain{}
		return Pressed{}
	}
	if g.OnlyCharging && l.Charging != nil {
		return Pressed{Reason: "it runs on its battery, and works only while it is charged", Halt: true}
	}
	if g.PauseBelow == 0 {
		return Pressed{}
	}
	level := *l.Battery
	g.drain.note(level, l.since)
	left, known := g.drain.until(g.PauseBelow)
	again := fmt.Sprintf("it works again when it is charged, or above %g %%", g.ResumeAbove)
	switch {
	case g.low && level < g.ResumeAbove, level < g.PauseBelow:
		g.low = true
		return Pressed{Reason: fmt.Sprintf("its battery is at %g %%: %s", level, again), Halt: level < g.PauseBelow}
	case known && l.usual > left:
		return Pressed{Reason: fmt.Sprintf("its battery would not last for a task: %g %% are left for %s, and tasks take %s here; %s", level-g.PauseBelow,
			left.Round(time.Second), l.usual.Round(time.Second), again)}
	}
	g.low = false
	return Pressed{}
}

func (g *guest) heat(l *look) Pressed {
	if p := warm(&g.batteryHot, "its battery", l.BatteryHeat, g.BatteryHeat); p.Reason != "" {
		return p
	}
	return warm(&g.hot, "it", l.Temperature, g.Heat)
}

func warm(hot *bool, what string, now *float64, limit float64) Pressed {
	if limit == 0 || now == nil {
		*hot = false
		return Pressed{}
	}
	if *hot = *now > limit || *hot && *now > limit-cooler; !*hot {
		return Pressed{}
	}
	return Pressed{Reason: fmt.Sprintf("%s is %.0f °C hot: it works again below %.0f °C", what, *now, limit-cooler), Halt: *now > limit+tooHot}
}

func (g *guest) load(l *look) Pressed {
	if g.OthersLoad == 0 || len(l.Load) == 0 {
		return Pressed{}
	}
	others := max(l.Load[0]-float64(l.running), 0)
	if g.busy = others > g.OthersLoad || g.busy && others > quieter*g.OthersLoad; !g.busy {
		return Pressed{}
	}
	return Pressed{Reason: fmt.Sprintf("others use it, with a load of %.1f: it works again below %.1f", others, quieter*g.OthersLoad)}
}

// drain is how quickly a battery gets empty.
type drain struct {
	seen bool
	from sample // where it began
	last sample
}

type sample struct {
	level float64
	at    time.Duration
}

const (
	drainLeast = 2 * time.Minute  // that it must be watched for
	drainMost  = 30 * time.Minute // that matter
)

func (d *drain) note(level float64, at time.Duration) {
	d.last = sample{level, at}
	if !d.seen || level > d.from.level || at-d.from.at > drainMost {
		d.seen, d.from = true, d.last
	}
}

// until is how long it takes to come down to a level.
func (d *drain) until(level float64) (left time.Duration, known bool) {
	fell, took := d.from.level-d.last.level, d.last.at-d.from.at
	if fell <= 0 || took < drainLeast {
		return 0, false
	}
	return time.Duration(max(d.last.level-level, 0) / fell * float64(took)), true
}
