//go:build linux && !android

package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// slack is by how much timers of a daemon may be late, in nanoseconds; the kernel's usual is 50,000.
const slack = 4_000_000

// Calm lets the timers of this process be late by four milliseconds, so that the kernel wakes it for several at once. It is to be called before anything else
// of a daemon. Go's runtime looks after its threads up to 15,000 times a second while there is something to do now and then: a tenth of all that a
// cluster of short tasks costs. What a thread may be late by it has from the one that started it, so the program begins once more.
func Calm() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if calm() || unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0) != nil || !calm() {
		return
	}
	// Where a loader was told to run the program, it is the loader that would begin again.
	if program, err := os.Executable(); err == nil && filepath.Base(program) == filepath.Base(os.Args[0]) {
		syscall.Exec(program, os.Args, os.Environ()) // if that cannot be, it goes on as it is
	}
}

func calm() bool {
	is, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return err == nil && is >= slack
}
