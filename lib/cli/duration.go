package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as a flag: as time.ParseDuration reads it, and with days: "90s", "1h30m", "7d", "1d12h".
type Duration time.Duration

const day = 24 * time.Hour

// String returns the duration without what is zero: "7d", "1d12h", "1h30m", "0s".
func (d Duration) String() string {
	days, rest := time.Duration(d)/day, time.Duration(d)%day
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	switch {
	case days == 0:
		return text
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%s", days, text)
}

// MarshalText returns String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses a duration; it is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	v, err := parseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: %w", s, err)
	}
	*d = Duration(v)
	return nil
}

func parseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 31)
	if err != nil || int64(n) > math.MaxInt64/int64(day) {
		return 0, fmt.Errorf("not a number of days")
	}
	if rest == "" && found {
		return time.Duration(n) * day, nil
	}
	v, err := time.ParseDuration(rest)
	switch {
	case err != nil:
		return 0, fmt.Errorf("not a number with a unit like 90s, 15m, 12h or 7d")
	case strings.HasPrefix(rest, "-"), found && strings.HasPrefix(rest, "+"):
		return 0, fmt.Errorf("must not be negative")
	case v > math.MaxInt64-time.Duration(n)*day:
		return 0, fmt.Errorf("too long")
	}
	return time.Duration(n)*day + v, nil
}
