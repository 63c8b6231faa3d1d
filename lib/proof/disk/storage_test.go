//go:build linux && cgo

package disk

import (
	"fmt"
	"testing"
)

// TestStorage lets the real programs meet the faults of a disk: calls that fail, a full disk, one that may not be written to, files that
// may not grow. Nothing is acknowledged that is not there after the next start.
func TestStorage(t *testing.T) {
	seed := theSeed(t)
	y := new(tally)
	t.Run("calls", func(t *testing.T) { testCalls(t, seed, y) })
	fmt.Printf("LANE storage seed=%d faults=%d fired=%d tasks=%d false_acks=%d empty_starts=%d wrong_status=%d\n",
		seed, y.faults.Load(), y.fired.Load(), y.tasks.Load(), y.falseAcks.Load(), y.emptyStarts.Load(), y.wrongStatus.Load())
}
