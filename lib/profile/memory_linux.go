package profile

import (
	"context"
	"math"
	"strconv"
	"strings"
)

// memory returns the bytes that there are and those that a new program could have.
func (m *machine) memory(context.Context) (total, available int64) {
	return parseMeminfo(text(m.Proc, "meminfo"))
}

// parseMeminfo reads /proc/meminfo. Kernels before 3.14 have no MemAvailable.
func parseMeminfo(s string) (total, available int64) {
	total, available = kib(s, "MemTotal"), kib(s, "MemAvailable")
	if available == 0 {
		available = kib(s, "MemFree") + kib(s, "Buffers") + kib(s, "Cached")
	}
	return total, min(available, total)
}

// kib returns a value like "16384 kB" in bytes.
func kib(s, key string) int64 {
	n, _, _ := strings.Cut(value(s, key, ":"), " ")
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil || v < 0 || v > math.MaxInt64>>12 {
		return 0
	}
	return v << 10
}
