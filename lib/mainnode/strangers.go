package mainnode

import (
	"container/list"
	"iter"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds on connections that have not been welcomed. Addresses from which somebody was welcomed, and this host itself, have none of their own:
// a hundred phones behind one router may come back at once.
const (
	maxStrangers     = 1024
	maxStrangersFrom = 64   // one address
	newFrom          = 128  // connections that one address may make at once
	newFromEvery     = 20   // and in a second, after that
	newFromAll       = 512  // that all of them together may make at once
	newFromAllEvery  = 100  // and in a second: a handshake costs a slow main node some milliseconds
	mostAddresses    = 4096 // remembered
)

// strangers are the connections that have not been welcomed. Where there are too many the oldest makes room: who means it has spoken by then.
type strangers struct {
	mu    sync.Mutex
	all   *list.List // of *visitor, the oldest first
	of    map[net.Conn]*list.Element
	from  map[netip.Addr]int
	pace  map[netip.Addr]*pace
	known map[netip.Addr]bool // somebody was welcomed from there, or is known to be there: whole addresses, not networks

	together pace // of all addresses
}

type visitor struct {
	conn net.Conn
	from netip.Addr
}

// pace is how many connections an address may make now.
type pace struct {
	left float64
	at   time.Time
}

func newStrangers() *strangers {
	return &strangers{all: list.New(), of: map[net.Conn]*list.Element{}, from: map[netip.Addr]int{}, pace: map[netip.Addr]*pace{}, known: map[netip.Addr]bool{}, together: pace{left: newFromAll}}
}

// admit takes one more, unless its address makes them too fast.
func (s *strangers) admit(c net.Conn, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := address(c.RemoteAddr())
	from := network(whole)
	if !s.isExempt(whole) {
		if !s.mayCome(from, now) {
			return false
		}
		if s.from[from] >= maxStrangersFrom {
			s.showOut(func(v *visitor) bool { return v.from == from })
		}
	}
	if s.all.Len() >= maxStrangers {
		s.showOut(func(*visitor) bool { return true })
	}
	s.of[c] = s.all.PushBack(&visitor{c, from})
	s.from[from]++
	return true
}

// isExempt says whether an address is this host's usual one, or one from which somebody was welcomed.
func (s *strangers) isExempt(a netip.Addr) bool {
	return !a.IsValid() || s.known[a] || a == netip.IPv6Loopback() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func (s *strangers) mayCome(from netip.Addr, now time.Time) bool {
	if len(s.pace) >= mostAddresses {
		clear(s.pace)
	}
	p := s.pace[from]
	if p == nil {
		p = &pace{newFrom, now}
		s.pace[from] = p
	}
	return p.take(now, newFrom, newFromEvery) && s.together.take(now, newFromAll, newFromAllEvery)
}

// take takes one of what may come now, of so many at the most and so many more in a second.
func (p *pace) take(now time.Time, most, every float64) bool {
	p.left = min(most, p.left+max(0, now.Sub(p.at).Seconds())*every)
	p.at = now
	if p.left < 1 {
		return false
	}
	p.left--
	return true
}

// showOut closes the oldest of which this is true.
func (s *strangers) showOut(which func(*visitor) bool) {
	for e := s.all.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visitor); which(v) {
			v.conn.Close()
			s.remove(v.conn)
			return
		}
	}
}

// leave gives a place back: the stranger was welcomed, or is gone.
func (s *strangers) leave(c net.Conn, welcomed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if welcomed {
		if len(s.known) >= mostAddresses {
			clear(s.known)
		}
		s.known[address(c.RemoteAddr())] = true
	}
	s.remove(c)
}

func (s *strangers) remove(c net.Conn) {
	e := s.of[c]
	if e == nil {
		return
	}
	v := s.all.Remove(e).(*visitor)
	delete(s.of, c)
	if s.from[v.from]--; s.from[v.from] <= 0 {
		delete(s.from, v.from)
	}
}

// address is where somebody comes from; not valid where that is this host's socket.
func address(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

// expect names addresses from which devices have come before: after a restart of the main node they all come at once.
func (s *strangers) expect(addresses iter.Seq[string]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range addresses {
		if ip, err := netip.ParseAddr(a); err == nil && len(s.known) < mostAddresses {
			s.known[ip.Unmap().WithZone("")] = true
		}
	}
}

// network is what counts of an address. Of one of IPv6 it is the first half: a host has as many others as it likes.
func network(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		network, _ := ip.Prefix(64)
		return network.Addr()
	}
	return ip
}
