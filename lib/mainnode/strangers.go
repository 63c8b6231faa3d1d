package mainnode

import (
	"container/list"
	"iter"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/limit"
)

// Bounds on connections that have not been welcomed. Addresses from which somebody was welcomed, and this host itself, have none of their own:
// a hundred phones behind one router may come back at once.
const (
	maxStrangers     = 1024
	maxStrangersFrom = 64                // one address
	newFrom          = 128               // connections that one address may make at once
	newFromEvery     = time.Second / 20  // and then one
	newFromAll       = 512               // that all of them together may make at once
	newFromAllEvery  = time.Second / 100 // and then one: a handshake costs a slow main node some milliseconds
	mostFriends      = 4096              // addresses
)

// strangers are the connections that have not been welcomed. Where there are too many the oldest makes room: who means it has spoken by then.
type strangers struct {
	mu    sync.Mutex
	all   *list.List // of *visitor, the oldest first
	of    map[net.Conn]*list.Element
	from  map[netip.Addr]int
	pace  limit.Addresses
	known map[netip.Addr]bool // somebody was welcomed from there, or is known to be there: whole addresses, not networks

	together limit.Bucket // of all addresses
}

type visitor struct {
	conn net.Conn
	from netip.Addr
}

func newStrangers() *strangers {
	return &strangers{all: list.New(), of: map[net.Conn]*list.Element{}, from: map[netip.Addr]int{}, pace: limit.Addresses{Most: newFrom, Every: newFromEvery}, known: map[netip.Addr]bool{}}
}

// admit takes one more, unless its address makes them too fast.
func (s *strangers) admit(c net.Conn, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := address(c.RemoteAddr())
	from := limit.Network(whole)
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
	return s.pace.Take(from, now) == 0 && s.together.Take(now, 1, newFromAll, newFromAllEvery) == 0
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
		if len(s.known) >= mostFriends {
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
		if ip, err := netip.ParseAddr(a); err == nil && len(s.known) < mostFriends {
			s.known[ip.Unmap().WithZone("")] = true
		}
	}
}
