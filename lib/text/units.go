package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Size prints a number of bytes: "7.6 GiB".
func Size(bytes int64) string {
	v := float64(bytes)
	if v > -1024 && v < 1024 {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	units := "KMGTPE"
	v /= 1024
	for len(units) > 1 && (v >= 1023.95 || v <= -1023.95) {
		v /= 1024
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// Duration prints how long something took, as exactly as one wants to know it: "15d 6h 42m", "2m 5s", "2.5s", "340ms".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(max(-d, 0))
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return Uptime(d)
}

// Uptime prints days, hours and minutes without the leading zeros: "15d 6h 42m", "6h 42m", "0m".
func Uptime(d time.Duration) string {
	d = max(d, 0)
	var b strings.Builder
	if d >= day {
		fmt.Fprintf(&b, "%dd ", d/day)
	}
	if d >= time.Hour {
		fmt.Fprintf(&b, "%dh ", d%day/time.Hour)
	}
	fmt.Fprintf(&b, "%dm", d%time.Hour/time.Minute)
	return b.String()
}

// Ago prints how long before now something was: "3m ago". What lies ahead, by the clock of another machine, is "now";
// the zero time is "never".
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < time.Second {
		return "now"
	}
	return age(d) + " ago"
}

// age is a duration in one unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// seconds makes a duration of what the wire holds. What no duration can hold is the longest.
func seconds(s float64) time.Duration {
	if s >= 1<<33 {
		return 1<<63 - 1
	}
	if !(s > 0) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// ago is Ago for a table, which may not know what time it is.
func (s Style) ago(t time.Time) string {
	if s.Now.IsZero() && !t.IsZero() {
		return t.UTC().Format(time.DateTime)
	}
	return Ago(t, s.Now)
}

// Fields of a record.

func str[S ~string](s S) field { return field{text: string(s)} }

func integer[N int | int64](n N) field {
	return field{strconv.FormatInt(int64(n), 10), true}
}

// known is a number that may not be known.
func known(n *int) field {
	if n == nil {
		return field{}
	}
	return integer(*n)
}

func decimal(v float64) field {
	if v-v != 0 { // not a number, or infinite
		return field{}
	}
	return field{strconv.FormatFloat(v, 'f', 1, 64), true}
}

// moment is a time in a record: RFC 3339, in UTC, to the second.
func moment(t time.Time) field {
	if t.IsZero() {
		return field{}
	}
	return field{t.UTC().Format(time.RFC3339), true}
}

// moments is moment for a time that may not have come.
func moments(t *time.Time) field {
	if t == nil {
		return field{}
	}
	return moment(*t)
}
