package mainnode

import (
	"fmt"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// However many devices there are, each comes once, in order, and no answer grows with their number.
func TestDevicesComeInPages(t *testing.T) {
	for _, many := range []int{0, 1, wire.MaxDevices, wire.MaxDevices + 1, 2*wire.MaxDevices + 50} {
		r := newRig(t)
		for n := range many {
			d := newMachine(store.Device{ID: fmt.Sprintf("device%05d", n)}, r.now)
			r.c.devices[d.row.ID] = d
		}
		seen := 0
		for which := (wire.ListDevices{}); ; {
			page := r.c.someDevices(&which)
			if len(page.Devices) > wire.MaxDevices {
				t.Fatalf("a page of %d devices", len(page.Devices))
			}
			for _, d := range page.Devices {
				if want := fmt.Sprintf("device%05d", seen); d.ID != want {
					t.Fatalf("device %d of %d is %s", seen, many, d.ID)
				}
				seen++
			}
			if which.After = page.Next; which.After == "" {
				break
			}
		}
		if seen != many {
			t.Errorf("%d devices of %d came", seen, many)
		}
	}
}
