package worker

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/profile"
)

// Facts of the device that take a moment to find out: they are looked for when it has nothing else to do, and told then.

const (
	factsAfter = 5 * time.Second        // that nothing was to be done
	speedSpan  = 200 * time.Millisecond // for which the speed is measured
)

// fact changes a profile.
type fact func(*device.Profile)

// find finds out what is not known yet, if this is a good moment. fed says that the device is charged or has no battery: phones and laptops are slower without.
func (w *Worker) find(ctx context.Context, busy int, fed bool) {
	if busy > 0 {
		w.quiet = time.Time{}
		return
	}
	if w.quiet.IsZero() {
		w.quiet = clock()
	}
	if w.finding || clock().Sub(w.quiet) < factsAfter || w.versions && w.power == powerState(fed) {
		return
	}
	w.finding, w.power = true, powerState(fed)
	first := !w.versions
	w.versions = true
	w.running.Go(func() {
		var versions map[string]string
		if first {
			versions = profile.Versions(ctx, w.facts, w.profile.Load().Tools)
		}
		speed := w.home.speed(powerState(fed))
		select {
		case w.found <- func(p *device.Profile) {
			if first {
				p.Versions = versions
			}
			p.Hardware.CPUSpeed = speed
		}:
		case <-ctx.Done():
		}
	})
}

// powerState is what speeds are kept by.
func powerState(fed bool) string {
	if fed {
		return "mains"
	}
	return "battery"
}

// speed is the device's speed in a state, which is measured once.
func (h *home) speed(state string) float64 {
	kept := map[string]float64{}
	if b, err := os.ReadFile(h.path(fileSpeed)); err == nil {
		json.Unmarshal(b, &kept) // what cannot be read is measured again
	}
	if kept[state] > 0 {
		return kept[state]
	}
	if kept == nil {
		kept = map[string]float64{}
	}
	kept[state] = profile.Speed(speedSpan)
	if b, err := json.Marshal(kept); err == nil {
		cli.WriteFile(h.path(fileSpeed), append(b, '\n'), 0o600) // or it is measured at the next start
	}
	return kept[state]
}
