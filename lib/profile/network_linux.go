package profile

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
)

// interfaces returns the names of the interfaces that are up, without the loopback.
func (m *machine) interfaces() []string {
	all := list(m.Sys, "class/net")
	if len(all) == 0 && !m.fake {
		return upInterfaces()
	}
	var names []string
	for _, name := range all {
		if parseUp(text(m.Sys, "class/net", name, "flags")) {
			names = append(names, name)
		}
	}
	return names
}

// addresses returns the hardware addresses of the real interfaces: by them a device can be woken.
func (m *machine) addresses() (macs []string) {
	for _, name := range list(m.Sys, "class/net") {
		mac := strings.TrimSpace(text(m.Sys, "class/net", name, "address"))
		if exists(filepath.Join(m.Sys, "class/net", name, "device")) && len(mac) == len("00:11:22:33:44:55") && mac != "00:00:00:00:00:00" {
			macs = append(macs, mac)
		}
	}
	return macs[:min(len(macs), mostAddresses)]
}

// parseUp reads an interface's flags, "0x1003": up (1) and not the loopback (8).
func parseUp(flags string) bool {
	f, err := strconv.ParseUint(flags, 0, 64)
	return err == nil && f&1 != 0 && f&8 == 0
}

// netBytes returns what came in and went out since boot.
func (m *machine) netBytes(context.Context) (received, sent int64, ok bool) {
	return addTraffic(parseNetDev(text(m.Proc, "net/dev")), func(name string) bool {
		return exists(filepath.Join(m.Sys, "class/net", name, "device"))
	})
}

type traffic struct{ received, sent int64 }

// parseNetDev reads /proc/net/dev, without the loopback. Old kernels leave no blank after the colon.
func parseNetDev(s string) map[string]traffic {
	all := make(map[string]traffic)
	for line := range strings.Lines(s) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(f) < 9 {
			continue
		}
		r, err1 := strconv.ParseInt(f[0], 10, 64)
		t, err2 := strconv.ParseInt(f[8], 10, 64)
		if err1 == nil && err2 == nil && r >= 0 && t >= 0 {
			all[name] = traffic{r, t}
		}
	}
	return all
}

// addTraffic adds up the real interfaces: bridges and tunnels carry the same bytes again. A container has
// only virtual ones; then they count.
func addTraffic(all map[string]traffic, real func(string) bool) (received, sent int64, ok bool) {
	var hard, soft traffic
	hasHard := false
	for name, t := range all {
		soft.received, soft.sent = soft.received+t.received, soft.sent+t.sent
		if real(name) {
			hard.received, hard.sent, hasHard = hard.received+t.received, hard.sent+t.sent, true
		}
	}
	if hasHard {
		return hard.received, hard.sent, true
	}
	return soft.received, soft.sent, len(all) > 0
}
