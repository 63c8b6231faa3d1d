// Package simulation holds only tests: whole clusters of the real cores, over the real store, in which one seed orders every message, timer and
// fault. What an onlooker sees becomes a history, and a judge holds it against the invariants I1 to I20. The same seed is the same run, to the
// byte; a seed that fails is replayed with
//
//	go test ./lib/simulation -run TestSeeds -seed N -v
//
// Schedules are clusters without chance: each is the shortest story in which one rule matters. Mutants, which are copies of the source with one
// rule left out, show that: each must fail its schedule.
package simulation

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed only")
	seedsFlag = flag.Int("seeds", 0, "run this many seeds")
)

// full says whether the whole proof is to be run, rather than what fits in a few seconds.
var full = os.Getenv("RC_PROVE") == "full"

// world is a cluster and its time.
type world struct {
	t       *testing.T
	seed    uint64
	replay  string // how to run it again
	rng     *rand.Rand
	now     time.Time
	due     agenda
	order   int // of things that are due at the same time
	main    *mainNode
	workers []*worker
	client  *client
	judge   *judge
	calm    bool // no chance: all takes as long as it always does
	faulty  bool // messages and answers are late, or get lost
	faults  int
	lined   int  // attempts that were lined up
	lines   bool // the newest device does so
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
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: epoch, judge: newJudge()}
	w.replay = fmt.Sprintf("go test ./lib/simulation -run '%s' -seed %d -v", t.Name(), seed)
	w.main = newMainNode(w)
	w.client = &client{w: w, byKey: map[string][]task.ID{}}
	return w
}

// after lets something happen in a while.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.due, thing{w.now.Add(d), w.order, do})
}

// soon is a random time up to most; where all is calm, a quarter of it.
func (w *world) soon(most time.Duration) time.Duration {
	if w.calm {
		return most / 4
	}
	return time.Duration(w.rng.Int64N(int64(most) + 1))
}

// chance is true once in n times; where all is calm, never.
func (w *world) chance(n int) bool { return !w.calm && w.rng.IntN(n) == 0 }

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for w.next(end) {
	}
	w.now = end
}

// next lets the next thing happen, if it is due by then.
func (w *world) next(end time.Time) bool {
	if len(w.due) == 0 || w.due[0].at.After(end) {
		return false
	}
	next := heap.Pop(&w.due).(thing)
	w.now = next.at
	next.do()
	return true
}

// until lets time pass until something is so; it must be so before long.
func (w *world) until(most time.Duration, words string, so func() bool) {
	w.t.Helper()
	end := w.now.Add(most)
	for !so() {
		if !w.next(end) {
			w.fail("after %s it was not so that %s", most, words)
		}
	}
}

// since is the time since the beginning.
func (w *world) since() time.Duration { return w.now.Sub(epoch) }

// see lets the onlooker see something.
func (w *world) see(o observation) {
	w.t.Helper()
	o.at = w.since()
	if v := w.judge.see(&o); v != nil {
		w.fail("%s", v)
	}
}

// log notes what happened; it is shown where the seed fails.
func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12s  ", w.since())+fmt.Sprintf(format, args...))
}

// fail ends the test: what must always hold did not.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.trace[max(0, len(w.trace)-300):] {
		w.t.Log(line)
	}
	w.t.Fatalf("seed %d, after %s and %d faults: %s\nreplay: %s", w.seed, w.since(), w.faults, fmt.Sprintf(format, args...), w.replay)
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
