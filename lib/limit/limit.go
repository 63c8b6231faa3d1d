// Package limit bounds how often something may be done: so often at once, and then once in a while; by whom, as far as an address tells.
package limit

import (
	"maps"
	"net/netip"
	"time"
)

// Bucket is what may be taken: its zero value is all of it. It fills by the clock that Take is told; one that is set back gives nothing and takes nothing.
type Bucket struct {
	owed time.Duration // until it is full again
	at   time.Time
}

// Take takes n where at least one is there of at most so many, which come back one in a while; else it says how long until one is there. More than there
// is may be taken, and is paid for by waiting.
func (b *Bucket) Take(now time.Time, n, most int, every time.Duration) (wait time.Duration) {
	b.fill(now)
	if wait = b.owed - time.Duration(most-1)*every; wait > 0 {
		return wait
	}
	b.owed += time.Duration(n) * every
	return 0
}

func (b *Bucket) fill(now time.Time) {
	b.owed = max(0, b.owed-max(0, now.Sub(b.at)))
	b.at = now
}

// mostAddresses are remembered.
const mostAddresses = 4096

// Addresses gives each address a Bucket, and each network of IPv6 one. It is not for concurrent use.
type Addresses struct {
	Most  int
	Every time.Duration
	each  map[netip.Addr]*Bucket
}

// Take takes one of what an address has, or says how long until there is one.
func (a *Addresses) Take(from netip.Addr, now time.Time) (wait time.Duration) {
	from = Network(from)
	b := a.each[from]
	if b == nil {
		a.forget(now)
		b = &Bucket{}
		a.each[from] = b
	}
	return b.Take(now, 1, a.Most, a.Every)
}

// GiveBack gives back one that was taken.
func (a *Addresses) GiveBack(from netip.Addr) {
	if b := a.each[Network(from)]; b != nil {
		b.owed = max(0, b.owed-a.Every)
	}
}

// forget makes room: addresses that have all that they may have are as good as new, and where there are too many others all are.
func (a *Addresses) forget(now time.Time) {
	if a.each == nil {
		a.each = map[netip.Addr]*Bucket{}
	}
	if len(a.each) < mostAddresses {
		return
	}
	maps.DeleteFunc(a.each, func(_ netip.Addr, b *Bucket) bool {
		b.fill(now)
		return b.owed == 0
	})
	if len(a.each) >= mostAddresses {
		clear(a.each)
	}
}

// Network is what counts of an address. Of one of IPv6 it is the first half: a host has as many others as it likes.
func Network(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		half, _ := ip.Prefix(64)
		return half.Addr()
	}
	return ip
}
