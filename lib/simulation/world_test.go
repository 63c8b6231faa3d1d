// Package simulation holds only tests: whole clusters of the real cores, over the real store, in which one seed orders every message, timer and
// fault. The same seed is the same run, to the byte; a seed that fails is replayed with
//
//	go test ./lib/simulation -run TestSeeds -seed N -v
package simulation

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only")
	seedsFlag = flag.Int("seeds", 60, "run this many seeds")
)

// world is a cluster and its time.
type world struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	now     time.Time
	due     agenda
	order   int // of things that are due at the same time
	main    *mainNode
	workers []*worker
	clients []*client
	history history
	faults  int
	trace   []string
}

// thing is something that will happen.
type thing struct {
	at    time.Time
	order int
	do    func()
}

type agenda []thing

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(thing)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// epoch is when every simulation begins.
var epoch = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: epoch}
	w.history.init(w)
	w.main = newMainNode(w)
	return w
}

// after lets something happen in a while.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.due, thing{w.now.Add(d), w.order, do})
}

// soon is a random time up to most.
func (w *world) soon(most time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(most) + 1))
}

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.due) > 0 && !w.due[0].at.After(end) {
		next := heap.Pop(&w.due).(thing)
		w.now = next.at
		next.do()
	}
	w.now = end
}

// log notes what happened; it is shown where the seed fails.
func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12s  ", w.now.Sub(epoch))+fmt.Sprintf(format, args...))
}

// fail ends the seed: what must always hold did not.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.trace[max(0, len(w.trace)-150):] {
		w.t.Log(line)
	}
	w.t.Fatalf("seed %d, after %s and %d faults: %s\nreplay: go test ./lib/simulation -run TestSeeds -seed %d -v",
		w.seed, w.now.Sub(epoch), w.faults, fmt.Sprintf(format, args...), w.seed)
}

// storeDir is a folder for a database: in memory where the system has such a place, since what a power cut does to a disk is not simulated here.
func storeDir(t *testing.T) string {
	if fi, err := os.Stat("/dev/shm"); err != nil || !fi.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "retire-cluster-simulation-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
