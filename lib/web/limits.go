package web

import (
	"net/netip"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/limit"
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
	a = limit.Network(a)
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

// tries are how often each address may get something wrong.
type tries struct {
	mu   sync.Mutex
	left limit.Addresses
}

func newTries(most int, every time.Duration) *tries {
	return &tries{left: limit.Addresses{Most: most, Every: every}}
}

// take takes one try. Where there is none left it says when there will be.
func (t *tries) take(from netip.Addr, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left.Take(from, now)
}

// giveBack is for a try that was right.
func (t *tries) giveBack(from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left.GiveBack(from)
}
