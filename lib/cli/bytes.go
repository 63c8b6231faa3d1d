package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes as a flag: "1GiB", "512MiB", "1.5G", "1000". K, M, G, T and KiB, MiB, GiB, TiB count by 1024,
// KB, MB, GB, TB by 1000; upper and lower case are the same. In a JSON file a number is bytes.
type Bytes int64

// units are the suffixes in lower case; those that String uses come first, the largest first.
var units = []struct {
	suffix string
	size   int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
	{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1}, {"", 1},
}

// String returns the size in the largest unit of 1024 that divides it, as UnmarshalText reads it.
func (b Bytes) String() string {
	for _, u := range units[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText returns String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText parses a size; it is not negative. A fraction of a byte is dropped.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	end := strings.LastIndexAny(s, "0123456789.") + 1
	number, suffix := s[:end], strings.TrimSpace(s[end:])
	for _, u := range units {
		if strings.EqualFold(u.suffix, suffix) {
			n, err := multiply(number, u.size)
			if err != nil {
				return fmt.Errorf("size %q: %w", s, err)
			}
			*b = Bytes(n)
			return nil
		}
	}
	return fmt.Errorf("size %q: unknown unit %q, use KiB, MiB, GiB or TiB", s, suffix)
}

func multiply(number string, size int64) (int64, error) {
	if strings.Trim(number, "0123456789.") != "" || number == "" {
		return 0, fmt.Errorf("not a number with a unit like 512MiB")
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/size {
			return 0, fmt.Errorf("too large")
		}
		return n * size, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("not a number with a unit like 512MiB")
	}
	if f *= float64(size); f >= math.MaxInt64 {
		return 0, fmt.Errorf("too large")
	}
	return int64(f), nil
}
