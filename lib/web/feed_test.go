package web

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
)

// TestFeedLooks: once in a second while somebody follows, at once when a device has changed, and not much more often however often that is.
func TestFeedLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		f := newFeed(func(context.Context) (cluster.Status, []device.Device, error) {
			looks.Add(1)
			return cluster.Status{}, nil, nil
		})
		go f.run(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		if looks.Load() != 0 {
			t.Errorf("while nobody follows: %d looks", looks.Load())
		}
		leave := f.follow()
		synctest.Wait()
		if looks.Load() != 1 {
			t.Errorf("for who begins to follow: %d looks", looks.Load())
		}
		time.Sleep(lookEvery/2 + 10*lookEvery)
		if looks.Load() != 11 {
			t.Errorf("ten seconds later: %d looks", looks.Load())
		}
		f.hear(&cluster.Event{Kind: cluster.TaskStarted, Device: "pi4"})
		synctest.Wait()
		if looks.Load() != 11 {
			t.Errorf("for a task: %d looks", looks.Load())
		}
		f.hear(&cluster.Event{Kind: cluster.DeviceOffline, Device: "pi4"})
		synctest.Wait()
		if looks.Load() != 12 {
			t.Errorf("for a device that is gone: %d looks", looks.Load())
		}
		for range 1000 {
			f.hear(&cluster.Event{Kind: cluster.DeviceOnline, Device: "pi4"})
			time.Sleep(time.Millisecond)
		}
		if n := looks.Load(); n < 20 || n > 23 {
			t.Errorf("a second in which a device comes a thousand times later: %d looks", n)
		}
		leave()
		time.Sleep(2 * lookEvery)
		looks.Store(0)
		time.Sleep(time.Minute)
		if looks.Load() != 0 {
			t.Errorf("when nobody follows any more: %d looks", looks.Load())
		}
	})
}
