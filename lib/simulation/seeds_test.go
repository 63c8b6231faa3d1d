package simulation

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestSeeds runs clusters through an hour of faults each, then lets them come to rest.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		simulate(t, *seedFlag)
		return
	}
	var simulated time.Duration
	tasks, faults, starts := 0, 0, 0
	for seed := uint64(1); seed <= uint64(*seedsFlag); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := simulate(t, seed)
			simulated += w.now.Sub(epoch)
			tasks += len(w.history.acked)
			faults += w.faults
			starts += len(w.history.starts)
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("LANE simulation seeds=%d hours=%.0f tasks=%d starts=%d faults=%d lost=0 double=0 zombies=0", *seedsFlag, simulated.Hours(), tasks, starts, faults)
}

func simulate(t *testing.T, seed uint64) *world {
	w := newWorld(t, seed)
	w.main.admin()
	for range 2 + w.rng.IntN(3) {
		w.addWorker(1 + w.rng.IntN(3))
	}
	c := w.addClient()
	for range 4 + w.rng.IntN(8) {
		w.after(w.soon(time.Hour), func() { c.submit(1 + w.rng.IntN(6)) })
	}
	w.history.faulty = true
	for range 30 + w.rng.IntN(40) {
		w.after(w.soon(time.Hour), w.fault)
	}
	w.run(time.Hour)
	w.heal()
	w.run(10 * time.Minute) // everybody is back, has said what they hold, and has had time to end what nobody wants
	w.history.zombies()
	w.run(6 * time.Hour)
	w.history.judge()
	return w
}

// fault does something to the cluster.
func (w *world) fault() {
	w.faults++
	d := w.workers[w.rng.IntN(len(w.workers))]
	switch w.rng.IntN(8) {
	case 0:
		if w.main.up {
			w.main.crash()
			w.after(w.soon(5*time.Minute), w.main.start)
		}
	case 1, 2:
		if d.up {
			d.crash(w.chance(2))
			w.after(w.soon(5*time.Minute), d.start)
		}
	case 3:
		w.log("%s: its connection breaks", d.name)
		if d.conn != nil {
			d.conn.cut(w.chance(2))
		}
	case 4:
		d.away = w.now.Add(w.soon(12 * time.Minute))
		w.log("%s: out of reach until %s", d.name, d.away.Sub(epoch))
		if d.conn != nil {
			d.conn.cut(false)
		}
	case 5, 6:
		d.asleep = w.now.Add(w.soon(12 * time.Minute))
		w.log("%s: sleeps until %s", d.name, d.asleep.Sub(epoch))
	case 7:
		if ids := slices.Sorted(maps.Keys(w.history.acked)); len(ids) > 0 {
			w.clients[0].cancel(ids[w.rng.IntN(len(ids))])
		}
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.log("all faults end")
	w.history.faulty = false
	if len(w.workers) > 2 && w.chance(2) { // one never comes back
		gone := w.workers[len(w.workers)-1]
		w.workers = w.workers[:len(w.workers)-1]
		if gone.up {
			gone.crash(true)
		}
		gone.life++
	}
	for _, d := range w.workers {
		d.away, d.asleep = time.Time{}, time.Time{}
	}
}

// TestRestartsAndShortCutsLoseNothing has only faults that the ride-through promises to bridge: then every task runs once.
func TestRestartsAndShortCutsLoseNothing(t *testing.T) {
	for seed := uint64(1); seed <= uint64(max(5, *seedsFlag/5)); seed++ {
		w := newWorld(t, seed)
		w.main.admin()
		for range 3 {
			w.addWorker(2)
		}
		c := w.addClient()
		for range 8 {
			w.after(w.soon(30*time.Minute), func() { c.submit(5) })
		}
		for range 12 {
			w.after(w.soon(40*time.Minute), func() {
				w.faults++
				if w.chance(2) && w.main.up {
					w.main.crash()
					w.after(w.soon(30*time.Second), w.main.start)
					return
				}
				d := w.workers[w.rng.IntN(len(w.workers))]
				d.away = w.now.Add(w.soon(4 * time.Minute))
				if d.conn != nil {
					d.conn.cut(w.chance(2))
				}
			})
		}
		w.run(3 * time.Hour)
		w.history.judge()
		for id := range w.history.acked {
			got, err := w.main.db.Task(t.Context(), id)
			if err != nil || got.Losses > 0 {
				w.fail("task %s: %d losses, %v", id, got.Losses, err)
			}
		}
	}
}

// The same seed is the same run, to the last line of what happened.
func TestReplayIsExact(t *testing.T) {
	a, b := simulate(t, 3), simulate(t, 3)
	if len(a.trace) != len(b.trace) || len(a.trace) < 20 {
		t.Fatalf("%d and %d lines", len(a.trace), len(b.trace))
	}
	for i := range a.trace {
		if a.trace[i] != b.trace[i] {
			t.Fatalf("line %d:\n%s\n%s", i, a.trace[i], b.trace[i])
		}
	}
}
