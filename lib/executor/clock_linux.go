package executor

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot is a clock that nobody sets, that goes on while the device is suspended, and that is the same in every process.
func SinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	}
	return time.Duration(t.Nano())
}

// Slept is for how long the device was suspended since it was started.
func Slept() time.Duration {
	var with, without unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &without) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &with) != nil {
		return 0
	}
	return max(time.Duration(with.Nano()-without.Nano()), 0)
}
