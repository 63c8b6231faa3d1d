package main

import (
	"fmt"
	"time"
)

const farWorkers, farSlots = 4, 4

// rowNetwork puts workers far away.
func rowNetwork(r *run) error {
	r.note("tasks of type sleep, which start no process, by rc-submit --json --wait, until it ends; %d workers with %d slots", farWorkers, farSlots)
	for _, part := range []struct {
		roundTrip, task time.Duration
		each            int // tasks of a slot
		aim             float64
	}{
		{5 * time.Millisecond, time.Second, r.size(20, 2), 97},
		{50 * time.Millisecond, time.Second, r.size(20, 2), 97},
		{5 * time.Millisecond, 20 * time.Millisecond, r.size(250, 20), 85},
	} {
		busy, err := r.busyAfar(part.roundTrip, part.task, part.each)
		if err != nil {
			return err
		}
		r.atLeast(fmt.Sprintf("slots busy at a round trip of %s, tasks of %s", part.roundTrip, part.task), once(busy), "%", part.aim)
		if err := r.again(); err != nil {
			return err
		}
	}
	return nil
}

// busyAfar is the part of the time for which the slots were busy, in percent.
func (r *run) busyAfar(roundTrip, length time.Duration, each int) (float64, error) {
	m, err := r.mainNode("main", nil)
	if err != nil {
		return 0, err
	}
	for i := range farWorkers {
		way, err := r.distance(m.local.Address, roundTrip)
		if err != nil {
			return 0, err
		}
		if _, err := r.worker(m, fmt.Sprintf("far-%d", i+1), farSlots, way.address()); err != nil {
			return 0, err
		}
	}
	n := each * farWorkers * farSlots
	sleeps, err := r.written("sleeps", n, func(int) string {
		return fmt.Sprintf(`{"task_type":"sleep","payload":{"seconds":%g}}`, length.Seconds())
	})
	if err != nil {
		return 0, err
	}
	t, err := r.submitAndWait(m, n, sleeps, "--json")
	if err != nil {
		return 0, err
	}
	return 100 * float64(n) * length.Seconds() / (farWorkers * farSlots * t.wall.Seconds()), nil
}
