//go:build !linux

package executor

import "time"

var began = time.Now()

// sinceBoot is a clock that nobody sets. Whether it goes on while the device is suspended is the system's affair.
func sinceBoot() time.Duration { return time.Since(began) }
