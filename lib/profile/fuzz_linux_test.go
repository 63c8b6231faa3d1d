package profile

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// FuzzProc reads any text as what the system and its programs say. Whatever it is, the figures are finite, so that a heartbeat can be sent, and make sense.
func FuzzProc(f *testing.F) {
	for _, s := range []string{"cpu  10 1 5 80 4 0 1 2 7 7\n", "cpu NaN 1 Inf 2 3", "NaN Inf -1", "1e308 1e308 1e308", "0-9223372036854775807,0-9223372036854775807", "-5-3", "48312", "NaN",
		"MemTotal: 9223372036854775807 kB\nMemAvailable: 1 kB", "MemTotal: -5 kB\nMemFree: -7 kB", "8 0 sda 9 0 9223372036854775807 0 9 0 -10 0", "eth0: -7 0 0 0 0 0 0 0 9223372036854775807 0",
		"300000 NaN\n900000 1", "[a]: [b]\n]: [", `{"percentage":88,"plugged":"UNPLUGGED","temperature":1e300}`, "NAME=\"a\\tb\"\n", "0x1003"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		finite := func(what string, values ...float64) {
			t.Helper()
			for _, v := range values {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Fatalf("%s of %q: %v", what, s, values)
				}
			}
		}
		finite("load", parseLoad(s)...)
		finite("uptime", float64(parseUptime(s)))
		finite("cores", float64(parseCPUList(s)))
		total, available := parseMeminfo(s)
		if finite("memory", float64(total), float64(available)); available > total {
			t.Fatalf("%q: %d of %d bytes are available", s, available, total)
		}
		for _, times := range []cpuTimes{parseStat(s), parseTimeInState(s)} {
			if finite("times", times.busy, times.total); times.busy > times.total*1.000001 {
				t.Fatalf("%q: busy %v of %v", s, times.busy, times.total)
			}
		}
		if r, w, ok := parseDiskstats(s, map[string]bool{"sda": true}); ok {
			finite("disks", float64(r), float64(w))
		}
		for name, n := range parseNetDev(s) {
			if finite("network", float64(n.received), float64(n.sent)); name == "lo" || name != strings.TrimSpace(name) {
				t.Fatalf("%q: an interface called %q", s, name)
			}
		}
		p, _ := parseTermuxBattery(s)
		for _, v := range []*float64{plausible(s, 1), plausible(s, 1000), p.percent, p.temperature} {
			if v != nil {
				finite("reading", *v)
			}
		}
		if _, err := json.Marshal([]any{parseLoad(s), plausible(s, 1), p.percent, parseProps(s), parseOSRelease(s), parseCPUModel(s), parsePython(s)}); err != nil {
			t.Fatalf("%q cannot be told: %v", s, err)
		}
	})
}

// FuzzCleanName checks that what is made of a host's name is a device's, or nothing.
func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"Pixel  3a (2019)", "-._pi_", "手机", strings.Repeat("-a", 60), strings.Repeat("a", 63) + "--", "\xff", "a.b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := cleanName(s)
		if err := device.CheckName(name); name != "" && err != nil {
			t.Fatalf("%q: %q: %v", s, name, err)
		}
		if again := cleanName(name); again != name {
			t.Fatalf("%q: %q, and of that %q", s, name, again)
		}
		if device.CheckName(s) == nil && name != s && strings.TrimRight(s, "._-") != name {
			t.Fatalf("%q is a name, and becomes %q", s, name)
		}
	})
}
