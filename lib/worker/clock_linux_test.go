package worker

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/executor"
)

// The kernel's uptime counts while the machine sleeps; so must the clock by which an authority runs out.
func TestClockCountsSleep(t *testing.T) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Skipf("no uptime to compare with: %v", err)
	}
	var seconds float64
	if _, err := fmt.Sscan(string(b), &seconds); err != nil {
		t.Fatal(err)
	}
	uptime := time.Duration(seconds * float64(time.Second))
	if off := executor.SinceBoot() - uptime; off < -time.Second || off > time.Minute {
		t.Errorf("since boot %s, and the kernel says %s", executor.SinceBoot(), uptime)
	}
	if off := time.Since(clock()); off < -time.Minute || off > time.Minute {
		t.Errorf("the clock is %s off the wall's", off)
	}
	if now := clock(); now != now.Round(0) {
		t.Error("it has a reading of Go's clock, which stands still while the machine sleeps")
	}
}
