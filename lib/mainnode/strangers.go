package mainnode

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds on connections that have not been welcomed.
const (
	maxStrangers     = 1024
	maxStrangersFrom = 64 // one address other than this host's own
)

// strangers counts the connections that have not been welcomed.
type strangers struct {
	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

// admit takes one more, unless there are too many.
func (s *strangers) admit(a net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := address(a)
	if s.all >= maxStrangers || s.from[ip] >= maxStrangersFrom && !ip.IsLoopback() {
		return false
	}
	s.all++
	s.from[ip]++
	return true
}

// leave gives a place back: the stranger was welcomed, or is gone.
func (s *strangers) leave(a net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	ip := address(a)
	if s.from[ip]--; s.from[ip] <= 0 {
		delete(s.from, ip)
	}
}

func address(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}
