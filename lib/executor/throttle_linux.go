package executor

import (
	"strconv"
	"time"
)

// How a helper keeps an attempt from using more processors than it may where the kernel does not: it stands still now and then.

const (
	throttleEvery = 50 * time.Millisecond
	throttleMost  = time.Second
	tick          = 10 * time.Millisecond // of the kernel's counting of CPU time
)

// throttle begins to look after the attempt that runs.
func (h *helper) throttle() {
	most := h.launch.limits.CPUs
	if most <= 0 || h.group.keeps("cpu") {
		return
	}
	last, used, debt := SinceBoot(), h.cpuTime(), time.Duration(0)
	h.repeat(throttleEvery, func() time.Duration {
		now, total := SinceBoot(), h.cpuTime()
		debt += max(total-used, 0) - time.Duration(most*float64(now-last))
		debt, last, used = max(debt, 0), now, total
		switch {
		case h.ending || h.halted:
			debt = 0
		case debt > 0:
			h.slowed = true
			h.stop()
			return min(max(time.Duration(float64(debt)/most), throttleEvery), throttleMost)
		case h.slowed:
			h.proceed()
		}
		return throttleEvery
	})
}

// cpuTime is what the processes of the attempt have used, with what those of their children have that are gone.
func (h *helper) cpuTime() (total time.Duration) {
	var buf [512]byte
	for _, e := range h.tree() {
		f := readStat(e.pid, buf[:])
		const user, of = 11, 4 // utime, stime, cutime, cstime
		if len(f) < user+of {
			continue
		}
		for _, field := range f[user : user+of] {
			n, _ := strconv.ParseInt(string(field), 10, 64)
			total += time.Duration(n) * tick
		}
	}
	return total
}
