//go:build !linux

package cli

// Calm does nothing: only Linux lets a process say how late its timers may be.
func Calm() {}
