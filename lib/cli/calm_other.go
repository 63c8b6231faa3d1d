//go:build !linux || android

package cli

// Calm does nothing: only Linux lets a process say how late its timers may be, and Android says so itself, to programs that may not be the file that they
// run from.
func Calm() {}
