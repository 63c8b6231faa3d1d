package worker

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/executor"
)

var (
	began     = time.Now()
	beganBoot = executor.SinceBoot()
)

// clock is the time by which the core decides: it begins with the wall clock and then follows no correction of that, and it goes on while
// the device sleeps.
func clock() time.Time { return began.Round(0).Add(executor.SinceBoot() - beganBoot) }
