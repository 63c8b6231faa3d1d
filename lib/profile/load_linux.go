package profile

import (
	"context"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// load returns the load averages. Android denies the file, but not sysinfo(2).
func (m *machine) load(context.Context) []float64 {
	if l := parseLoad(text(m.Proc, "loadavg")); l != nil {
		return l
	}
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return nil
	}
	var l []float64
	for _, v := range i.Loads {
		l = append(l, math.Round(float64(v)/65536*100)/100)
	}
	return l
}

// parseLoad reads "0.20 0.18 0.12 1/80 11206".
func parseLoad(s string) []float64 {
	fields := strings.Fields(s)
	if len(fields) < 3 {
		return nil
	}
	l := make([]float64, 3)
	for i := range l {
		v, ok := figure(fields[i])
		if !ok {
			return nil
		}
		l[i] = v
	}
	return l
}

// uptime returns the seconds since boot; 0: not known.
func (m *machine) uptime(context.Context) int64 {
	if t := parseUptime(text(m.Proc, "uptime")); t > 0 {
		return t
	}
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 0
	}
	return int64(i.Uptime)
}

// parseUptime reads "350735.47 234388.90".
func parseUptime(s string) int64 {
	first, _, _ := strings.Cut(s, " ")
	t, ok := figure(first)
	if !ok {
		return 0
	}
	return int64(t)
}

// figure reads a number as the system's files have them: finite, not negative, and one that can be counted on with, since no heartbeat can tell of others.
func figure(s string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && v >= 0 && v < 1<<62
}
