package worker

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot counts while the device sleeps, too: phones and laptops do, and Go's own clock stands still then.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return time.Since(began)
	}
	return time.Duration(t.Nano())
}
