package profile

import (
	"math"
	"strconv"
	"strings"
)

// supply is one folder of /sys/class/power_supply.
type supply struct {
	kind, scope      string // scope Device: a mouse's battery, not this machine's
	capacity, status string
	online, temp     string
	power            string // µW
	current, voltage string // µA, which some drivers sign, and µV
}

func (m *machine) power() power { return powerOf(m.supplies()) }

func (m *machine) supplies() []supply {
	var all []supply
	for _, name := range list(m.Sys, "class/power_supply") {
		read := func(file string) string { return text(m.Sys, "class/power_supply", name, file) }
		all = append(all, supply{
			kind: read("type"), scope: read("scope"), capacity: read("capacity"),
			status: read("status"), online: read("online"), temp: read("temp"),
			power: read("power_now"), current: read("current_now"), voltage: read("voltage_now"),
		})
	}
	return all
}

// powerOf sums up the supplies: the mean of the batteries, and whether anything feeds them. Without a battery
// there is nothing to say.
func powerOf(all []supply) power {
	var p power
	var sum, n float64
	fed := feed{}
	for _, s := range all {
		if s.scope == "Device" {
			continue
		}
		fed.look(s)
		if c, err := strconv.ParseFloat(s.capacity, 64); s.kind == "Battery" && err == nil {
			sum, n = sum+c, n+1
			if w := s.watts(); w != nil && s.status == "Discharging" {
				p.watts = new(*w + known(p.watts))
			}
			p.temperature = hotter(p.temperature, plausible(s.temp, 10))
		}
	}
	if n > 0 {
		p.percent, p.charging = percentOf(sum, n*100), fed.charging()
	}
	return p
}

// watts is what goes into or out of a battery.
func (s *supply) watts() *float64 {
	micro := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0
		}
		return math.Abs(v) / 1e6
	}
	w := micro(s.power)
	if w == 0 {
		w = micro(s.current) * micro(s.voltage)
	}
	if w <= 0 || w > 500 {
		return nil
	}
	return new(math.Round(w*100) / 100)
}

func known(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// feed gathers what the supplies say of the mains.
type feed struct{ known, on bool }

// look asks the chargers, and the battery too: a charger's driver may be missing, or of a type of its own.
func (f *feed) look(s supply) {
	switch {
	case s.kind == "Mains", strings.HasPrefix(s.kind, "USB"), s.kind == "Wireless":
		f.known = f.known || s.online != ""
		f.on = f.on || s.online != "" && s.online != "0"
	case s.kind == "Battery":
		f.known = f.known || s.status == "Discharging"
		f.on = f.on || s.status == "Charging" || s.status == "Full"
	}
}

func (f *feed) charging() *bool {
	if !f.known && !f.on {
		return nil
	}
	return &f.on
}
