package simulation

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// totals are what a lane tells.
type totals struct {
	seeds, tasks, attempts, lined, faults int
	simulated                             time.Duration
}

func (n *totals) add(w *world) {
	n.seeds++
	n.simulated += w.since()
	n.tasks += len(w.client.all)
	n.faults += w.faults
	n.lined += w.lined
	for _, r := range w.judge.runs {
		if r.started {
			n.attempts++
		}
	}
}

// TestSeeds runs clusters through an hour of faults each, then lets them come to rest. Seeds that failed once go first.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		simulate(t, *seedFlag)
		return
	}
	many, most := 40, 8*time.Second
	if full {
		many, most = 300, 60*time.Second
	}
	many = cmp.Or(*seedsFlag, many)
	seeds := keptSeeds(t)
	for seed := range uint64(many) {
		seeds = append(seeds, seed+1)
	}
	var n totals
	began := time.Now()
	for _, seed := range seeds {
		if *seedsFlag == 0 && time.Since(began) > most {
			t.Logf("%d of %d seeds in %s", n.seeds, len(seeds), most)
			break
		}
		n.add(simulate(t, seed))
	}
	fmt.Printf("\nLANE simulation seeds=%d hours=%.0f tasks=%d attempts=%d lined=%d faults=%d lost=0 double=0 zombies=0 violations=0\n",
		n.seeds, n.simulated.Hours(), n.tasks, n.attempts, n.lined, n.faults)
	if n.seeds >= 40 && n.lined == 0 {
		t.Error("no attempt was lined up")
	}

}

// keptSeeds reads the seeds that failed once: a number a line, behind it what it found.
func keptSeeds(t *testing.T) (seeds []uint64) {
	f, err := os.Open("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		number, _, _ := strings.Cut(lines.Text(), "#")
		if number = strings.TrimSpace(number); number == "" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

func simulate(t *testing.T, seed uint64) *world {
	w := newWorld(t, seed)
	w.replay = fmt.Sprintf("go test ./lib/simulation -run TestSeeds -seed %d -v", seed)
	w.main.start()
	for range 2 + w.rng.IntN(3) {
		w.addWorker(1 + w.rng.IntN(3))
	}
	for range 4 + w.rng.IntN(8) {
		w.after(w.soon(time.Hour), w.someTasks)
	}
	w.faulty = true
	for range 30 + w.rng.IntN(40) {
		w.after(w.soon(time.Hour), w.fault)
	}
	for range 60 {
		w.after(w.soon(2*time.Hour), w.lookAround)
	}
	w.run(time.Hour)
	w.heal()
	w.run(7 * time.Hour) // everybody is back, has said what they hold, and has had time to end what nobody wants
	w.main.showAll()
	w.see(observation{what: atRest})
	w.settled()
	return w
}

// settled wants nothing to be left on the devices.
func (w *world) settled() {
	for _, d := range w.workers {
		if held := d.core.Held(); len(held) > 0 || len(d.spool) > 0 {
			w.fail("%s holds %v and spools %d for ever", d.name, held, len(d.spool))
		}
	}
}

// someTasks submits some, now and then twice at once.
func (w *world) someTasks() {
	var specs []task.Spec
	for range 1 + w.rng.IntN(6) {
		s := spec(behaviour{Poison: w.chance(15), mode: mode{w.chance(3), w.chance(5)}})
		s.Priority = task.Priority(w.rng.IntN(4) - 1)
		if !s.AtMostOnce {
			s.Retries = w.rng.IntN(3)
		}
		specs = append(specs, s)
	}
	w.client.submit(1+w.rng.IntN(2), specs...)
}

// lookAround shows clients what there is.
func (w *world) lookAround() {
	for range 5 {
		if id := w.someTask(); id != 0 {
			w.client.look(id)
		}
	}
	w.client.count()
}

func (w *world) someTask() task.ID {
	if len(w.client.all) == 0 {
		return 0
	}
	return w.client.all[w.rng.IntN(len(w.client.all))]
}

// fault does something to the cluster.
func (w *world) fault() {
	w.faults++
	d := w.workers[w.rng.IntN(len(w.workers))]
	faults := []func(*worker){w.mainCrashes, w.workerCrashes, w.workerCrashes, w.cuts, w.goesAway, w.sleeps, w.sleeps, w.freezes, w.holds, w.holds, w.stepsClock,
		w.cancels, w.cancels, w.retries, w.drains}
	faults[w.rng.IntN(len(faults))](d)
}

func (w *world) mainCrashes(*worker) {
	w.main.crash()
	w.after(w.soon(5*time.Minute), w.main.start)
}

func (w *world) workerCrashes(d *worker) {
	d.crash(w.chance(2))
	w.after(w.soon(5*time.Minute), d.start)
}

func (w *world) cuts(d *worker) {
	w.log("%s: its connection breaks", d.name)
	if d.conn != nil {
		d.conn.cut(90 * time.Second)
	}
}

func (w *world) goesAway(d *worker) {
	d.away = w.now.Add(w.soon(12 * time.Minute))
	w.log("%s: out of reach until %s", d.name, d.away.Sub(epoch))
	if d.conn != nil {
		d.conn.cut(90 * time.Second)
	}
}

func (w *world) sleeps(d *worker) { d.sleep(w.now.Add(w.soon(12 * time.Minute))) }

// freezes stops the device's process, and leaves its programs alone.
func (w *world) freezes(d *worker) {
	d.frozen = w.now.Add(w.soon(15 * time.Minute))
	w.log("%s: its process stands still until %s", d.name, d.frozen.Sub(epoch))
}

// holds lets one direction of a connection carry nothing for a while.
func (w *world) holds(d *worker) {
	if d.conn == nil {
		return
	}
	until := w.now.Add(w.soon(10 * time.Minute))
	if w.chance(2) {
		d.conn.heldUp = until
	} else {
		d.conn.heldDown = until
	}
	w.log("%s: one direction of its connection carries nothing until %s", d.name, until.Sub(epoch))
}

// stepsClock sets the main node's wall clock.
func (w *world) stepsClock(*worker) {
	const years10 = 10 * 365 * 24 * time.Hour
	w.main.wall = []time.Duration{0, years10, -years10, time.Hour, -time.Hour}[w.rng.IntN(5)]
	w.log("main node: its clock is wrong by %s from now on", w.main.wall)
}

func (w *world) cancels(*worker) {
	if id := w.someTask(); id != 0 {
		w.client.cancel(id)
	}
}

func (w *world) retries(*worker) {
	if id := w.someTask(); id != 0 {
		w.client.retry(id)
	}
}

// drains asks a device to drain, and to work again a while later.
func (w *world) drains(d *worker) {
	within := time.Duration(0)
	if w.chance(2) {
		within = w.soon(3 * time.Minute)
	}
	w.client.drain(d.name, within)
	w.after(w.soon(10*time.Minute), func() { w.client.undrain(d.name) })
}

// heal ends all faults.
func (w *world) heal() {
	w.log("all faults end")
	w.faulty = false
	if len(w.workers) > 2 && w.chance(2) { // one never comes back
		gone := w.workers[len(w.workers)-1]
		w.workers = w.workers[:len(w.workers)-1]
		gone.crash(true)
		gone.gone = true
		w.see(observation{what: vanished, device: gone.name})
	}
	for _, d := range w.workers {
		d.away = time.Time{}
		w.client.undrain(d.name)
	}
}

// TestRestartsAndShortCutsLoseNothing has only faults that the ride-through promises to bridge: then every task is begun once.
func TestRestartsAndShortCutsLoseNothing(t *testing.T) {
	seeds := uint64(5)
	if full {
		seeds = 50
	}
	for seed := range seeds {
		w := newWorld(t, seed+1)
		w.main.start()
		for range 3 {
			w.addWorker(2)
		}
		for range 8 {
			w.after(w.soon(30*time.Minute), func() {
				w.client.submit(1, slices.Repeat([]task.Spec{spec(behaviour{mode: mode{exclusive: w.chance(3)}})}, 5)...)
			})
		}
		for range 12 {
			w.after(w.soon(40*time.Minute), w.shortFault)
		}
		w.run(3 * time.Hour)
		w.main.showAll()
		w.see(observation{what: atRest})
		for id, seen := range w.judge.tasks {
			w.want("I19", seen.start == 1, id.String()+" was begun once")
		}
	}
}

// shortFault restarts the main node, or takes a device off the network for a few minutes.
func (w *world) shortFault() {
	w.faults++
	if w.chance(2) {
		w.main.crash()
		w.after(w.soon(30*time.Second), w.main.start)
		return
	}
	d := w.workers[w.rng.IntN(len(w.workers))]
	d.away = w.now.Add(w.soon(4 * time.Minute))
	if d.conn != nil {
		d.conn.cut(time.Minute)
	}
}

// TestReplayIsExact wants the same seed to be the same run, to the last line of what happened.
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
