package proof

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestNetwork lets the network between the main node and each of its workers fail in every way that the proxy knows. Blips that are
// shorter than a lease move nothing; a device that is gone for longer loses what it runs when its lease is over, and soon after that.
func TestNetwork(t *testing.T) {
	l := begin(t, "network")
	many, tasks, workers := l.size(10, 152), l.size(200, 3000), l.size(4, 8)
	r := newRig(t, scaled, 200*time.Millisecond)
	var proxies []*proxy
	for i := range workers {
		p := newProxy(t, r.options.Main)
		proxies = append(proxies, p)
		r.work(fmt.Sprint("w", i+1), 2, 200*time.Millisecond, p.address())
	}
	r.online()
	c := newCrowd(t, r)
	c.lease = r.lease
	c.watch()
	for i := range 4 {
		rng := l.random(uint64(i + 1))
		c.submitter(fmt.Sprint("s", i+1), rng, tasks/4/5, 5, func(key string) task.Spec {
			return r.spec("pause", key, 0.02+0.25*rng.Float64())
		})
	}
	var storm sync.WaitGroup
	var heals sync.Map // of times by worker
	for i, p := range proxies {
		n := &nemesis{p: p, device: r.workers[i].name, lease: r.lease, rng: l.random(uint64(100 + i)), c: c}
		storm.Go(func() {
			n.rage(n.share(many, workers, i), l.full)
			heals.Store(n.device, n.heals)
		})
	}
	storm.Wait()
	atOnce(proxies, c)
	done := waitFor(time.Minute, func() bool { return int(c.acked.Load()) >= tasks }) && c.settle(time.Minute)
	wrong := c.collect()
	if !done {
		t.Errorf("not all tasks are over after %s", time.Since(l.began))
	}
	strays(t, r, proxies)
	var back []time.Duration
	heals.Range(func(device, times any) bool {
		back = append(back, reconnects(r.path(device.(string)+".log"), times.([]time.Time))...)
		return true
	})
	slices.Sort(back)
	p99 := time.Duration(0)
	if len(back) > 0 {
		p99 = back[(len(back)-1)*99/100]
	}
	if limit := r.lease * 60 / 450; p99 > limit && l.full {
		t.Errorf("reconnecting takes %s, more than %s", p99, limit)
	}
	_, lost := c.attempts()
	l.report("tasks", len(c.final), "faults", many+1, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "zombies", len(c.zombies), "long_cuts", c.longCuts(),
		"lost_attempts", lost, "moved_by_blips", count(wrong, "I20"), "reconnects", len(back), "reconnect_p99_ms", p99.Milliseconds(), "violations", len(wrong))
}

// nemesis is the bad weather of one worker.
type nemesis struct {
	p      *proxy
	device string
	lease  time.Duration
	rng    *rand.Rand
	c      *crowd
	heals  []time.Time
}

// share is how many faults the i-th worker gets. One that is cut off for long gets no others in the fast part.
func (n *nemesis) share(many, workers, i int) int {
	switch {
	case many >= 4*workers:
		return many / workers
	case i == 0:
		return 1
	}
	return (many - 1) / (workers - 1)
}

// rage lets so many faults happen. One in ten lasts longer than a lease; of a few, that of the first worker.
func (n *nemesis) rage(many int, full bool) {
	for range many {
		<-time.After(between(n.rng, 100*time.Millisecond, 600*time.Millisecond))
		f := faults[n.rng.IntN(len(faults))]
		last := between(n.rng, n.lease/20, n.lease/2)
		long := n.rng.IntN(10) == 0
		if !full {
			long = many == 1
		}
		if long {
			f, last = faults[n.rng.IntN(3)], n.lease+between(n.rng, n.lease/4, n.lease/2)
		}
		n.strike(f, last)
	}
}

func (n *nemesis) strike(f fault, last time.Duration) {
	began := time.Now()
	f.strike(n.p, n.rng)
	<-time.After(last)
	healed := time.Now()
	n.p.set(weather{})
	n.heals = append(n.heals, healed)
	if f.silences {
		n.c.mu.Lock()
		defer n.c.mu.Unlock()
		// The device has to reconnect and say hello before it is heard.
		n.c.fates = append(n.c.fates, fate{n.device, began, healed})
	}
}

// atOnce cuts all workers off, and lets all of them come back in one moment.
func atOnce(proxies []*proxy, c *crowd) {
	for _, p := range proxies {
		p.set(weather{up: true, down: true})
		p.reset()
	}
	<-time.After(c.lease / 3)
	for _, p := range proxies {
		p.set(weather{})
	}
}

// reconnects reads in a worker's log how long after each heal it was connected, where it was not.
func reconnects(logFile string, heals []time.Time) (after []time.Duration) {
	type turn struct {
		at time.Time
		up bool
	}
	var turns []turn
	for line := range strings.Lines(string(read(logFile))) {
		stamp, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339, stamp)
		if err == nil && strings.Contains(rest, "msg=connected ") {
			turns = append(turns, turn{at, true})
		} else if err == nil && strings.Contains(rest, `msg="no connection to the main node`) {
			turns = append(turns, turn{at, false})
		}
	}
	for _, h := range heals {
		next := slices.IndexFunc(turns, func(t turn) bool { return t.at.After(h) })
		if next > 0 && !turns[next-1].up && turns[next].up {
			after = append(after, turns[next].at.Sub(h))
		}
	}
	return after
}

// longCuts is how many silences were longer than a lease.
func (h *history) longCuts() (n int) {
	for _, f := range h.fates {
		if f.to.Sub(f.from) > h.lease {
			n++
		}
	}
	return n
}

// strays complains of workers that went around their proxy: no fault of it would have touched them.
func strays(t *testing.T, r *rig, proxies []*proxy) {
	t.Helper()
	for i, p := range proxies {
		var member struct{ Addresses []string }
		if err := json.Unmarshal(read(r.path(r.workers[i].name+"/worker.json")), &member); err != nil {
			t.Error(err)
		}
		if len(member.Addresses) == 0 || member.Addresses[0] != p.address() {
			t.Errorf("%s went by its proxy: %v", r.workers[i].name, member.Addresses)
		}
	}
}
