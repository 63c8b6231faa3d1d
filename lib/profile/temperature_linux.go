package profile

import (
	"strconv"
	"strings"
)

// temperature returns the hottest of the thermal zones, in °C; phones often deny them all.
func (m *machine) temperature() *float64 {
	var hottest *float64
	for _, zone := range list(m.Sys, "class/thermal") {
		if !strings.HasPrefix(zone, "thermal_zone") {
			continue
		}
		hottest = hotter(hottest, plausible(text(m.Sys, "class/thermal", zone, "temp"), 1000))
	}
	return hottest
}

// plausible reads a temperature in parts of a degree. Zones without a sensor say 0, -274 or 255 °C, and some
// old kernels leave out the thousand: then the zone tells nothing.
func plausible(s string, parts float64) *float64 {
	v, err := strconv.ParseFloat(s, 64)
	if v /= parts; err != nil || !(v >= 1 && v < 150) {
		return nil
	}
	return &v
}

func hotter(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}
