package proof

import (
	"context"
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
	l.alongside()
	many, tasks, workers := l.size(9, 153), l.size(200, 3000), l.size(4, 8)
	r := newRig(t, build(t), scaled, 200*time.Millisecond)
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
	c.cancels()
	for i := range 4 {
		rng := l.random(uint64(i + 1))
		c.submitter(fmt.Sprint("s", i+1), rng, tasks/4/5, 5, func(key string) task.Spec {
			return r.spec("pause", key, 0.02+0.25*rng.Float64())
		})
	}
	var storm sync.WaitGroup
	all := make([]*nemesis, workers)
	for i, cards := range deal(l.rng, many, workers, l.full) {
		n := &nemesis{p: proxies[i], device: r.workers[i].name, lease: r.lease, rng: l.random(uint64(100 + i)), c: c}
		all[i] = n
		storm.Go(func() { n.rage(cards) })
	}
	storm.Wait()
	atOnce(all)
	done := waitFor(time.Minute, func() bool { return int(c.acked.Load()) >= tasks }) && c.settle(time.Minute)
	wrong := c.collect()
	complain(t, wrong)
	if !done {
		t.Errorf("not all tasks are over after %s", time.Since(l.began))
	}
	strays(t, r, proxies)
	var back []time.Duration
	for _, n := range all {
		back = append(back, reconnects(r.path(n.device+".log"), n.heals)...)
	}
	slices.Sort(back)
	p99 := time.Duration(0)
	if len(back) > 0 {
		p99 = back[(len(back)-1)*99/100]
	}
	if limit := r.lease * 60 / 450; p99 > limit && l.full {
		t.Errorf("reconnecting takes %s, more than %s", p99, limit)
	}
	_, lost := c.attempts()
	l.report("tasks", len(c.final), "faults", c.faults(all), "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "zombies", len(c.zombies), "cancelled", len(c.cancelled), "long_cuts", c.longCuts(),
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

// card is a fault that a worker is dealt. A long one lasts for more than a lease.
type card struct {
	fault
	long bool
}

// deal deals so many faults to the workers, of every kind as often as of every other, and one in ten long. Of a few, the first worker gets
// the long one, and no other.
func deal(rng *rand.Rand, many, workers int, full bool) [][]card {
	var deck []card
	for len(deck) < many {
		for _, i := range rng.Perm(len(faults)) {
			deck = append(deck, card{faults[i], full && faults[i].silences && rng.IntN(3) == 0})
		}
	}
	deck = deck[:many]
	hands := make([][]card, workers)
	if !full {
		hands[0] = []card{{faults[rng.IntN(3)], true}}
	}
	for i, c := range deck {
		to := i % workers
		if !full {
			to = 1 + i%(workers-1)
		}
		hands[to] = append(hands[to], c)
	}
	return hands
}

// rage lets the faults happen that were dealt.
func (n *nemesis) rage(cards []card) {
	for _, c := range cards {
		<-time.After(between(n.rng, 100*time.Millisecond, 600*time.Millisecond))
		last := between(n.rng, n.lease/20, n.lease/2)
		if c.long {
			last = n.lease + between(n.rng, n.lease/4, n.lease/2)
		}
		n.strike(c.fault, last)
	}
}

func (n *nemesis) strike(f fault, last time.Duration) {
	began := time.Now()
	f.strike(n.p, n.rng)
	<-time.After(last)
	healed := time.Now()
	n.p.set(weather{})
	n.heals = append(n.heals, healed)
	defer n.heard(f, began, healed)
	if f.silences {
		n.c.mu.Lock()
		defer n.c.mu.Unlock()
		// The device has to reconnect and say hello before it is heard.
		n.c.fates = append(n.c.fates, fate{n.device, began, healed})
	}
}

// heard waits until the main node hears the device again: two blips in a row, without a word between them, are one that is longer.
func (n *nemesis) heard(f fault, began, healed time.Time) {
	cl := n.c.r.client()
	defer cl.Close()
	if !waitFor(n.lease, func() bool {
		ctx, cancel := context.WithTimeout(n.c.t.Context(), ready)
		defer cancel()
		d, _, err := cl.Device(ctx, n.device)
		return err == nil && d.LastSeen.After(healed)
	}) {
		n.c.t.Errorf("%s is not heard again within %s after %s from %s to %s", n.device, n.lease, f.name, began.Format("15:04:05.000"), healed.Format("15:04:05.000"))
	}
	n.c.t.Logf("%s: %s from %s to %s, heard by %s", n.device, f.name, began.Format("15:04:05.000"), healed.Format("15:04:05.000"), time.Now().Format("15:04:05.000"))
}

// atOnce cuts all workers off, and lets all of them come back in one moment.
func atOnce(all []*nemesis) {
	var one sync.WaitGroup
	for _, n := range all {
		one.Go(func() { n.strike(faults[0], n.lease/3) })
	}
	one.Wait()
}

// reconnects reads in a worker's log how long each time it took to be connected again, from when the network was well.
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
	var lost time.Time
	for _, t := range turns {
		switch {
		case !t.up && lost.IsZero():
			lost = t.at
		case t.up && !lost.IsZero():
			for _, h := range heals {
				if h.After(lost) && h.Before(t.at) {
					lost = h
				}
			}
			after, lost = append(after, t.at.Sub(lost)), time.Time{}
		}
	}
	return after
}

// faults is how many there were.
func (c *crowd) faults(all []*nemesis) (n int) {
	for _, one := range all {
		n += len(one.heals)
	}
	return n
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
