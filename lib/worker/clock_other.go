//go:build !linux

package worker

import "time"

// sinceBoot counts since this process began, on Go's clock: whether that goes on while the device sleeps is the system's affair.
func sinceBoot() time.Duration { return time.Since(began) }
