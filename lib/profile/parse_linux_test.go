package profile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// show makes values comparable through pointers.
func show(v any) string {
	switch r := reflect.ValueOf(v); {
	case r.Kind() == reflect.Pointer && r.IsNil():
		return "nil"
	case r.Kind() == reflect.Pointer:
		return fmt.Sprint(r.Elem())
	}
	return fmt.Sprint(v)
}

func TestParse(t *testing.T) {
	const meminfo = "MemTotal:  1000 kB\nMemFree: 100 kB\nBuffers: 10 kB\nCached: 200 kB\n"
	mem := func(s string) string { total, free := parseMeminfo(s); return fmt.Sprint(total, free) }
	disks := func(s string) string {
		r, w, ok := parseDiskstats(s, map[string]bool{"sda": true, "loop0": false})
		return fmt.Sprint(r, w, ok)
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"props", parseProps("[a.b]: [Pixel 3a]\n[c]: []\n[d]: [two\nlines]\njunk\n"), map[string]string{"a.b": "Pixel 3a", "c": "", "d": "two"}},
		{"python", parsePython("Python 3.11.2\n"), "3.11.2"},
		{"python and more", parsePython("Python 3.11.2 (main)\nx"), "3.11.2"},
		{"python 2", parsePython("Python 2.7.18"), ""},
		{"no python", parsePython("pyenv: not found"), ""},

		{"os", parseOSRelease("NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"), "Debian GNU/Linux 12 (bookworm)"},
		{"os, single quotes", parseOSRelease("PRETTY_NAME='Void'"), "Void"},
		{"os, plain", parseOSRelease("ID=alpine\nNAME=Alpine"), "Alpine"},
		{"os, none", parseOSRelease(""), ""},
		{"product", parseProduct("20KHS0XX00"), "20KHS0XX00"},
		{"no product", parseProduct("To Be Filled By O.E.M."), ""},

		{"cores", parseCPUList("0-3"), 4},
		{"cores, gaps", parseCPUList("0,2-3,7"), 4},
		{"cores, none", parseCPUList(""), 0},
		{"cores, backwards", parseCPUList("3-1"), 0},
		{"cores, junk", parseCPUList("0-x"), 0},
		{"cpu, PC", parseCPUModel("processor\t: 0\nmodel name\t: Intel(R) Core(TM)  i5-3320M CPU\n"), "Intel(R) Core(TM) i5-3320M CPU"},
		{"cpu, ARM", parseCPUModel("model name\t: ARMv7 Processor rev 3\nHardware\t: BCM2711\n"), "BCM2711"},
		{"cpu, ARM 64", parseCPUModel("CPU implementer\t: 0x41\nCPU part\t: 0xd08\n"), "Cortex-A72"},
		{"cpu, unknown", parseCPUModel("CPU implementer\t: 0x51\nCPU part\t: 0x803\n"), ""},

		{"meminfo, old", mem(meminfo), fmt.Sprint(1000<<10, 310<<10)},
		{"meminfo", mem(meminfo + "MemAvailable: 500 kB\n"), fmt.Sprint(1000<<10, 500<<10)},
		{"meminfo, absurd", mem("MemTotal: 10 kB\nMemAvailable: 500 kB"), fmt.Sprint(10<<10, 10<<10)},
		{"meminfo, none", mem("MemTotal: lots"), "0 0"},

		{"load", parseLoad("0.20 0.18 0.12 1/80 11206"), []float64{0.2, 0.18, 0.12}},
		{"load, short", parseLoad("0.20 0.18"), []float64(nil)},
		{"load, junk", parseLoad("a b c"), []float64(nil)},
		{"uptime", parseUptime("350735.47 234388.90"), 350735},
		{"uptime, none", parseUptime(""), 0},

		{"diskstats", disks("8 0 sda 9 0 100 0 9 0 10 0 0 0 0\n8 1 sda1 9 0 100 0 9 0 10 0\n7 0 loop0 1 1 1 1 1 1 1 1\n"), "51200 5120 true"},
		{"diskstats, short", disks("8 0 sda 9"), "0 0 false"},
		{"netdev", parseNetDev("Inter-| Receive\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 5 0\n  eth0:7 0 0 0 0 0 0 0 8 0\n"), map[string]traffic{"eth0": {7, 8}}},
		{"netdev, none", len(parseNetDev("")), 0},
		{"up", parseUp("0x1003"), true},
		{"down", parseUp("0x1002"), false},
		{"loopback", parseUp("0x9"), false},
		{"no flags", parseUp(""), false},

		{"stat", parseStat("cpu  10 1 5 80 4 0 1 2 7 7\ncpu0 1"), cpuTimes{busy: 19, total: 103}},
		{"stat, old", parseStat("cpu 10 1 5 80"), cpuTimes{busy: 16, total: 96}},
		{"stat, junk", parseStat("cpu a b c d"), cpuTimes{}},
		{"stat, none", parseStat(""), cpuTimes{}},
		{"time in state", parseTimeInState("300000 60\n900000 20\n1500000 20"), cpuTimes{busy: 30, total: 100}},
		{"time in state, one", parseTimeInState("300000 60"), cpuTimes{}},
		{"time in state, junk", parseTimeInState("300000"), cpuTimes{}},

		{"temperature", plausible("48312", 1000), "48.312"},
		{"temperature, off", plausible("-274000", 1000), "nil"},
		{"temperature, hot", plausible("255000", 1000), "nil"},
		{"temperature, degrees", plausible("42", 1000), "nil"},
		{"temperature, none", plausible("", 10), "nil"},

		{"gpu", gpuName("0x8086", "DRIVER=i915\nPCI_ID=8086:0166"), "Intel (i915)"},
		{"gpu, board", gpuName("", "DRIVER=v3d\n"), "v3d"},
		{"gpu, virtual", gpuName("0x1af4", "DRIVER=virtio_gpu"), ""},

		{"arch", archName("armv6l", "arm"), "armv6l"},
		{"arch, macOS", archName("arm64", "arm64"), "aarch64"},
		{"arch, Windows", archName("", "386"), "i686"},
		{"arch, RISC-V", archName("", "riscv64"), "riscv64"},

		{"name", cleanName("Pixel  3a (2019)"), "Pixel-3a-2019"},
		{"name, front", cleanName("-._pi_"), "pi"},
		{"name, foreign", cleanName("手机"), ""},
		{"name, long", len(cleanName(strings.Repeat("a", 100))), 64},

		{"percent", percentOf(1, 3), "33.3"},
		{"percent, more", percentOf(4, 3), "100"},
		{"percent, of nothing", percentOf(4, 0), "nil"},
		{"cpu use", cpuTimes{30, 200}.since(cpuTimes{5, 100}), "25"},
		{"cpu use, first", cpuTimes{30, 200}.since(cpuTimes{}), "nil"},
		{"cpu use, at once", cpuTimes{30, 200}.since(cpuTimes{30, 200}), "nil"},
	} {
		if got, want := show(c.got), show(c.want); got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
	}
}

func TestRole(t *testing.T) {
	for _, c := range []struct {
		body body
		want string
	}{
		{body{android: true, board: true, battery: true}, "mobile"},
		{body{board: true, chassis: "handset", battery: true}, "mobile"},
		{body{board: true, chassis: "laptop"}, "laptop"},
		{body{board: true, battery: true}, "board"},
		{body{battery: true, dmi: 3}, "laptop"},
		{body{dmi: 10}, "laptop"},
		{body{dmi: 3}, "desktop"},
		{body{dmi: 23, display: true}, "server"},
		{body{dmi: 1, display: true}, "desktop"},
		{body{dmi: 1}, "server"},
		{body{}, "server"},
	} {
		if got := c.body.role(); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.body, got, c.want)
		}
	}
}

func TestPowerOf(t *testing.T) {
	battery := supply{kind: "Battery", capacity: "80", status: "Discharging", temp: "310"}
	mouse := supply{kind: "Battery", scope: "Device", capacity: "3", status: "Charging"}
	mains := func(online string) supply { return supply{kind: "Mains", online: online} }
	for _, c := range []struct {
		name string
		all  []supply
		want string // percent, charging, temperature
	}{
		{"none", nil, "nil nil nil"},
		{"a mouse", []supply{mouse, mains("1")}, "nil nil nil"},
		{"unplugged", []supply{battery, mouse, mains("0")}, "80 false 31"},
		{"plugged in", []supply{battery, mains("1")}, "80 true 31"},
		{"by USB", []supply{battery, mains("0"), {kind: "USB_PD", online: "1"}}, "80 true 31"},
		{"no charger to see", []supply{battery}, "80 false 31"},
		{"says so itself", []supply{{kind: "Battery", capacity: "100", status: "Full"}}, "100 true nil"},
		{"says nothing", []supply{{kind: "Battery", capacity: "50", status: "Unknown"}}, "50 nil nil"},
		{"two", []supply{battery, {kind: "Battery", capacity: "41", temp: "350"}}, "60.5 false 35"},
		{"unreadable", []supply{{kind: "Battery"}}, "nil nil nil"},
	} {
		p := powerOf(c.all)
		if got := show(p.percent) + " " + show(p.charging) + " " + show(p.temperature); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAddTraffic(t *testing.T) {
	all := map[string]traffic{"eth0": {10, 1}, "docker0": {5, 5}, "veth1": {5, 5}}
	r, s, ok := addTraffic(all, func(name string) bool { return name == "eth0" })
	if r != 10 || s != 1 || !ok {
		t.Errorf("with a real interface: %d %d %v", r, s, ok)
	}
	r, s, ok = addTraffic(all, func(string) bool { return false })
	if r != 20 || s != 11 || !ok {
		t.Errorf("in a container: %d %d %v", r, s, ok)
	}
	if _, _, ok = addTraffic(nil, nil); ok {
		t.Error("nothing is something")
	}
}
