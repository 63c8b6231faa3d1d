//go:build !linux

package executor

import "time"

var began = time.Now()

// SinceBoot is a clock that nobody sets. Whether it goes on while the device is suspended is the system's affair.
func SinceBoot() time.Duration { return time.Since(began) }

// Slept is for how long the device was suspended since it was started; here it is not known.
func Slept() time.Duration { return 0 }
