package proof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestKillWorker kills workers, stops them for longer than a lease, stops the main node, and has tasks among the others that kill the
// worker under which they run. A supervisor starts a worker again that was killed.
func TestKillWorker(t *testing.T) {
	l := begin(t, "kill_worker")
	kills, stops, pauses, tasks, workers := l.size(8, 60), l.size(2, 20), l.size(1, 10), l.size(300, 3000), l.size(5, 8)
	r := newRig(t, build(t), scaled, 200*time.Millisecond)
	for i := range workers {
		r.work(fmt.Sprint("w", i+1), 4, 200*time.Millisecond)
	}
	r.online()
	c := newCrowd(t, r)
	c.watch()
	c.cancels()
	for i := range 4 {
		rng := l.random(uint64(i + 1))
		c.submitter(fmt.Sprint("s", i+1), rng, tasks/4/5, 5, func(key string) task.Spec { return c.mixture(rng, key) })
	}
	var storm sync.WaitGroup
	slow, gone := &frozen{}, make(chan time.Duration, kills)
	storm.Go(func() { stopWorkers(r, l.random(101), stops, slow) })
	storm.Go(func() { stopMain(r, l.random(102), pauses) })
	for range kills {
		<-time.After(between(l.rng, 200*time.Millisecond, 700*time.Millisecond))
		p := r.workers[l.rng.IntN(workers)]
		if slow.has(p) {
			p = r.workers[l.rng.IntN(3)] // never stopped
		}
		before := r.taskProcesses()
		if p.signal(syscall.SIGKILL) {
			killed := time.Now()
			storm.Go(func() { gone <- treeGone(before, p.name, killed) })
		}
	}
	storm.Wait()
	close(gone)
	done := waitFor(time.Minute, func() bool { return int(c.acked.Load()) >= tasks }) && c.settle(time.Minute)
	wrong := c.collect()
	complain(t, wrong)
	if !done {
		t.Errorf("not all tasks are over after %s", time.Since(l.began))
	}
	var trees []time.Duration
	for d := range gone {
		trees = append(trees, d)
	}
	slices.Sort(trees)
	longest := trees[len(trees)-1]
	if longest > 2*time.Second {
		t.Errorf("I10: what a killed worker ran is there for %s", longest)
	}
	_, lost := c.attempts()
	l.report("tasks", len(c.final), "faults", kills+stops+pauses, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "overlaps", len(c.overlaps),
		"zombies", len(c.zombies), "cancelled", len(c.cancelled), "poison", len(c.poison), "at_most_once", len(c.once), "bystanders", c.bystanders(), "lost_attempts", lost, "tree_gone_max_ms", longest.Milliseconds(), "violations", len(wrong))
}

// mixture is a task: 2 of 100 kill their worker, 30 must never run twice at the same time, 10 never twice at all.
func (c *crowd) mixture(rng *rand.Rand, key string) task.Spec {
	seconds := 0.02 + 0.12*rng.Float64()
	switch n := rng.IntN(100); {
	case n < 2:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.poison[key] = true
		return c.r.spec("poison", key, 0)
	case n < 32:
		s := c.r.spec("exclusive", key, seconds)
		s.Exclusive = true
		return s
	}
	s := c.r.spec("pause", key, seconds)
	if rng.IntN(7) == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.once[key] = true
		s.AtMostOnce = true
	}
	return s
}

// bystanders are the tasks that were set aside because three workers died under them, by no doing of theirs.
func (c *crowd) bystanders() (n int) {
	for _, a := range c.acks {
		if t := c.final[a.id]; !c.poison[a.key] && strings.Contains(t.Reason, "lost_limit") {
			n++
		}
	}
	return n
}

// frozen is the set of workers that are stopped just now.
type frozen struct {
	mu  sync.Mutex
	who map[*process]bool
}

func (s *frozen) has(p *process) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who[p]
}

func (s *frozen) set(p *process, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.who == nil {
		s.who = map[*process]bool{}
	}
	s.who[p] = is
}

// stopWorkers stops workers for twice as long as their lease, each of the last ones in its turn. Three are never stopped.
func stopWorkers(r *rig, rng *rand.Rand, many int, stopped *frozen) {
	often := r.workers[3:]
	atOnce := len(often)
	var all sync.WaitGroup
	for n, p := range often {
		pauses := []time.Duration{}
		for range (many + atOnce - 1 - n) / atOnce {
			pauses = append(pauses, between(rng, 100*time.Millisecond, time.Second))
		}
		all.Go(func() {
			for _, pause := range pauses {
				<-time.After(pause)
				stopped.set(p, true)
				p.signal(syscall.SIGSTOP)
				<-time.After(2 * r.lease)
				p.signal(syscall.SIGCONT)
				stopped.set(p, false)
			}
		})
	}
	all.Wait()
}

// stopMain stops the main node for a while, now and then.
func stopMain(r *rig, rng *rand.Rand, many int) {
	for range many {
		<-time.After(between(rng, time.Second, 3*time.Second))
		r.main.signal(syscall.SIGSTOP)
		<-time.After(between(rng, r.lease/10, r.lease*6/10))
		r.main.signal(syscall.SIGCONT)
	}
}

// treeGone says how long what a device ran is there after it was killed.
func treeGone(before []taskProcess, device string, killed time.Time) time.Duration {
	before = slices.DeleteFunc(before, func(p taskProcess) bool { return p.device != device })
	waitFor(5*time.Second, func() bool {
		before = slices.DeleteFunc(before, func(p taskProcess) bool { return !p.there() })
		return len(before) == 0
	})
	return time.Since(killed)
}
