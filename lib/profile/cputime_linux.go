package profile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

func (m *machine) cpuTimes(context.Context) cpuTimes {
	if t := parseStat(head(filepath.Join(m.Proc, "stat"))); t.total > 0 {
		return t
	}
	return m.frequencies()
}

// head returns the beginning of a file. /proc/stat grows with the number of interrupts; its first line is
// all that counts here.
func head(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 512)
	n, _ := f.Read(b)
	return string(b[:n])
}

// parseStat reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. What
// follows, the guests' time, is in user and nice already. Waiting for a disk is idle, a neighbour's steal is not.
func parseStat(s string) cpuTimes {
	line, _, _ := strings.Cut(s, "\n")
	f := strings.Fields(line)
	if len(f) < 5 || f[0] != "cpu" {
		return cpuTimes{}
	}
	var t cpuTimes
	for i, field := range f[1:min(len(f), 9)] {
		v, ok := figure(field)
		if !ok {
			return cpuTimes{}
		}
		t.total += v
		if i != 3 && i != 4 {
			t.busy += v
		}
	}
	return t
}

// frequencies guesses from the cores' frequencies how busy they were: Android denies /proc/stat, not these. At
// its lowest frequency a core counts as idle, at its highest as busy.
func (m *machine) frequencies() cpuTimes {
	var sum cpuTimes
	for _, name := range list(m.Sys, "devices/system/cpu") {
		t := parseTimeInState(text(m.Sys, "devices/system/cpu", name, "cpufreq/stats/time_in_state"))
		sum.busy, sum.total = sum.busy+t.busy, sum.total+t.total
	}
	return sum
}

// parseTimeInState reads lines of a frequency and the time spent at it.
func parseTimeInState(s string) cpuTimes {
	var low, high, total, weighted float64
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) != 2 {
			return cpuTimes{}
		}
		freq, ok1 := figure(f[0])
		time, ok2 := figure(f[1])
		if !ok1 || !ok2 {
			return cpuTimes{}
		}
		if low == 0 || freq < low {
			low = freq
		}
		high, total, weighted = max(high, freq), total+time, weighted+freq*time
	}
	if high <= low { // one frequency tells nothing
		return cpuTimes{}
	}
	return cpuTimes{busy: (weighted - low*total) / (high - low), total: total}
}
