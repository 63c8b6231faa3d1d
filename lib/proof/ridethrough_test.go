package proof

import (
	"crypto/sha256"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestRidethrough cuts the network in the middle of tasks that run, for two minutes in the scale of the lease, kills the main node in the
// middle of others, and does both at once. Nothing of it is to be seen in any task: the same attempt, one process, its output to the
// byte, recorded once.
func TestRidethrough(t *testing.T) {
	l := begin(t, "ridethrough")
	l.alongside()
	rounds := l.size(1, 4)
	r := newRig(t, build(t), scaled, 300*time.Millisecond)
	var proxies []*proxy
	for i := range 2 {
		p := newProxy(t, r.options.Main)
		proxies = append(proxies, p)
		r.work(fmt.Sprint("w", i+1), 3, 200*time.Millisecond, p.address())
	}
	r.online()
	c := newCrowd(t, r)
	c.ridden, c.nothing = true, true
	c.watch()
	two := r.lease * 120 / 450 // minutes
	cut := func() {
		for _, p := range proxies {
			p.set(weather{up: true, down: true})
			p.reset()
		}
	}
	heal := func() {
		for _, p := range proxies {
			p.set(weather{})
		}
	}
	kill := func() { r.main.signal(syscall.SIGKILL) }
	storms := []func(){
		func() { cut(); <-time.After(two); heal() },
		kill,
		func() { cut(); <-time.After(two / 4); kill(); <-time.After(two * 3 / 4); heal() },
	}
	faults := 0
	for round := range rounds {
		for n, storm := range storms {
			c.startLong(fmt.Sprintf("long-%d-%d", round, n), 6, 32+l.rng.IntN(6))
			<-time.After(between(l.rng, 0, 200*time.Millisecond))
			storm()
			faults++
			if !waitFor(ready, func() bool { return c.over() == c.acked.Load() }) {
				t.Errorf("round %d, storm %d: tasks do not end", round, n)
			}
		}
	}
	wrong := c.collect()
	complain(t, wrong)
	sums := map[[sha256.Size]byte]bool{}
	for id, text := range c.outputs {
		if sum := sha256.Sum256([]byte(text)); sum == sha256.Sum256([]byte(c.printed[attempt{id, 1}])) {
			sums[sum] = true
		}
	}
	if len(sums) != len(c.final) {
		t.Errorf("of %d tasks %d have the output that they printed", len(c.final), len(sums))
	}
	strays(t, r, proxies)
	l.report("tasks", len(c.final), "faults", faults, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "second_starts", c.seconds(), "zombies", len(c.zombies),
		"identical", len(sums), "cut_ms", two.Milliseconds(), "lease_ms", r.lease.Milliseconds(), "violations", len(wrong))
}

// startLong submits so many tasks that print so many lines, and waits until all of them run and have printed something.
func (c *crowd) startLong(key string, many, lines int) {
	c.t.Helper()
	var specs []task.Spec
	for i := range many {
		specs = append(specs, c.r.spec("long", fmt.Sprintf("%s/%d", key, i), float64(lines)))
	}
	c.sent.Add(int64(many))
	cl := c.r.client()
	defer cl.Close()
	ids := c.submit(c.ctx, cl, key, specs)
	running := waitFor(ready, func() bool {
		for _, id := range ids {
			if len(read(fmt.Sprintf("%s/out/%s.1", c.r.witness, id))) == 0 {
				return false
			}
		}
		return len(ids) == many
	})
	if !running {
		c.t.Errorf("%s: not all of the tasks run", key)
	}
}
