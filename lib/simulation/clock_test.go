package simulation

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// stamp makes a time such as time.Now gives: what the wall clock shows, and beside it a reading of a clock that nobody sets. Package time has no
// way to choose both, so the words of a Time are written as its source describes them; TestStamp holds that against package time.
func stamp(wall time.Time, reading time.Duration) time.Time {
	const hasReading = 1 << 63
	words := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{hasReading | uint64(wall.Unix()-year1885)<<30 | uint64(wall.Nanosecond()), int64(reading) + 1, nil}
	return *(*time.Time)(unsafe.Pointer(&words))
}

var year1885 = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func TestStamp(t *testing.T) {
	if unsafe.Sizeof(time.Time{}) != 24 {
		t.Fatal("a time.Time is not what it was")
	}
	a, b := stamp(epoch, time.Hour), stamp(epoch.AddDate(-10, 0, 0), time.Hour+time.Second)
	if !a.Round(0).Equal(epoch) || !b.Round(0).Equal(epoch.AddDate(-10, 0, 0)) || a.UTC().String()[:19] != epoch.String()[:19] {
		t.Errorf("the wall clocks show %s and %s", a, b)
	}
	if b.Sub(a) != time.Second || !b.After(a) || b.Add(time.Minute).Sub(a) != 61*time.Second {
		t.Errorf("%s passed between them", b.Sub(a))
	}
}

// TestClocks wants the same to be decided whatever the main node's wall clock shows. (How long a task waits for its retry across a restart, and the
// order of the queue, follow the wall clock: there is nothing else that outlives a restart. So no task here is retried, and none waits for a slot.)
func TestClocks(t *testing.T) {
	const hour, years10 = time.Hour, 10 * 365 * 24 * time.Hour
	want, cases := decided(t, func(*world, int) {}), 0
	for _, wrong := range []time.Duration{hour, -hour, years10, -years10} {
		for name, steps := range map[string]func(*world, int){
			"once":            func(w *world, n int) { w.main.wall = wrong },
			"to and fro":      func(w *world, n int) { w.main.wall = wrong * time.Duration(n%2) },
			"and stands then": func(w *world, n int) { w.main.stuck = epoch.Add(wrong) },
		} {
			cases++
			got := decided(t, steps)
			for id := range want {
				if got[id] != want[id] {
					t.Errorf("I17: with a clock that is set by %s %s, task %s is %s; with a right one %s", wrong, name, id, got[id], want[id])
				}
			}
		}
	}
	if t.Failed() {
		return
	}
	fmt.Printf("\nLANE clocks cases=%d tasks=%d changed=0 violations=0\n", cases, len(want)*cases)
}

// decided tells what became of many tasks, each for one device, while the clock is set again and again, also across restarts.
func decided(t *testing.T, step func(w *world, n int)) map[task.ID]string {
	w := script(t)
	var specs []task.Spec
	for n := range 200 {
		s := spec(behaviour{Runs: time.Duration(1+n%37) * time.Minute, mode: mode{n%5 == 0, n%7 == 3}})
		s.Requirements.Device = fmt.Sprintf("device%d", 1+n%4)
		specs = append(specs, s)
	}
	for range 4 {
		w.join(len(specs))
	}
	key := w.client.submit(1, specs...)
	for n, at := range []time.Duration{2 * time.Minute, 5 * time.Minute, 6*time.Minute + 10*time.Second, 10 * time.Minute, 16 * time.Minute, 25 * time.Minute} {
		w.after(at, func() { step(w, n+1) })
	}
	d := w.workers
	for at, fault := range map[time.Duration]func(){
		3 * time.Minute:                 func() { d[0].unplug(2 * time.Minute) },
		6 * time.Minute:                 w.main.crash,
		6*time.Minute + 30*time.Second:  w.main.start,
		8 * time.Minute:                 func() { w.client.cancel(w.client.all[40]) },
		9 * time.Minute:                 func() { d[1].sleep(w.now.Add(10 * time.Minute)) },
		12 * time.Minute:                func() { d[2].crash(true) },
		14 * time.Minute:                d[2].start,
		16*time.Minute - 10*time.Second: w.main.crash,
		16*time.Minute + 10*time.Second: w.main.start,
		20 * time.Minute:                func() { d[3].unplug(9 * time.Minute) },
		20*time.Minute + 10*time.Second: func() { w.client.cancel(w.client.all[43]) },
	} {
		w.after(at, fault)
	}
	w.rest()
	became := map[task.ID]string{}
	for _, id := range w.client.byKey[key] {
		seen := w.judge.task(id)
		became[id] = fmt.Sprintf("%s after %d starts in attempt %d", seen.state, seen.start, seen.lease.Attempt)
	}
	return became
}
