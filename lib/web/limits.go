package web

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

// crowd counts what each address holds of something. This host itself, and whoever is exempt, may hold as much as there is.
type crowd struct {
	most   int
	exempt func(netip.Addr) bool

	mu   sync.Mutex
	many map[netip.Addr]int
}

func newCrowd(most int, exempt func(netip.Addr) bool) *crowd {
	return &crowd{most: most, exempt: exempt, many: map[netip.Addr]int{}}
}

// enter takes one more, unless the address has enough. Call leave, once.
func (c *crowd) enter(a netip.Addr) (leave func(), ok bool) {
	if !a.IsValid() || a.IsLoopback() || c.exempt(a) {
		return func() {}, true
	}
	a = network(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.many[a] >= c.most {
		return nil, false
	}
	c.many[a]++
	return func() { c.leave(a) }, true
}

func (c *crowd) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.many[a]--; c.many[a] <= 0 {
		delete(c.many, a)
	}
}

// tries are how often each address may get something wrong: so often at once, and then once in a while.
type tries struct {
	most  float64
	every time.Duration

	mu   sync.Mutex
	left map[netip.Addr]*allowance
}

type allowance struct {
	left float64
	at   time.Time
}

const mostAddresses = 4096 // remembered

func newTries(most float64, every time.Duration) *tries {
	return &tries{most: most, every: every, left: map[netip.Addr]*allowance{}}
}

// take takes one try. Where there is none left it says when there will be.
func (t *tries) take(from netip.Addr, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from = network(from)
	a := t.left[from]
	if a == nil {
		t.forget(now)
		a = &allowance{t.most, now}
		t.left[from] = a
	}
	a.left, a.at = t.grown(a, now), now
	if a.left < 1 {
		return time.Duration((1 - a.left) * float64(t.every))
	}
	a.left--
	return 0
}

// giveBack is for a try that was right.
func (t *tries) giveBack(from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.left[network(from)]; a != nil {
		a.left = min(a.left+1, t.most)
	}
}

func (t *tries) grown(a *allowance, now time.Time) float64 {
	return min(t.most, a.left+max(0, now.Sub(a.at).Seconds())/t.every.Seconds())
}

// forget makes room: addresses that have all their tries are as good as new, and where there are too many others all are.
func (t *tries) forget(now time.Time) {
	if len(t.left) < mostAddresses {
		return
	}
	maps.DeleteFunc(t.left, func(_ netip.Addr, a *allowance) bool { return t.grown(a, now) >= t.most })
	if len(t.left) >= mostAddresses {
		clear(t.left)
	}
}
