package mainnode

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/limit"
)

// visit is a connection of which only its address, and whether it is closed, matter.
type visit struct {
	net.Conn
	from   string
	closed bool
}

func (v *visit) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", v.from)
	if err != nil {
		return &net.UnixAddr{Name: v.from, Net: "unix"}
	}
	return a
}

func (v *visit) Close() error { v.closed = true; return nil }

func TestStrangers(t *testing.T) {
	s, now := newStrangers(), time.Now()
	come := func(from string) *visit {
		v := &visit{from: from}
		if !s.admit(v, now) {
			return nil
		}
		return v
	}
	first := come("192.0.2.1:1")
	for range maxStrangersFrom - 1 {
		come("192.0.2.1:2")
	}
	if first.closed {
		t.Fatal("the first was closed while there was room")
	}
	if come("192.0.2.1:3"); !first.closed {
		t.Error("the oldest of an address did not make room")
	}
	for range newFrom {
		come("192.0.2.1:4")
	}
	if come("192.0.2.1:5") != nil {
		t.Error("an address makes connections as fast as it likes")
	}
	now = now.Add(newFromEvery)
	if come("192.0.2.1:6") == nil || come("192.0.2.1:7") != nil {
		t.Error("an address does not get its pace back")
	}
	// Addresses of one IPv6 network are one.
	six := come("[2001:db8::1]:1")
	for range maxStrangersFrom {
		come("[2001:db8::2]:1")
	}
	if !six.closed {
		t.Error("a host has as many places as it has addresses of IPv6")
	}
	// One that was welcomed lets others from there come, as behind a router.
	friend := come("198.51.100.7:1")
	s.leave(friend, true)
	for range 2 * newFrom {
		if come("198.51.100.7:2") == nil {
			t.Fatal("refused where somebody was welcomed")
		}
	}
	// Of a network of version 6 that is who was welcomed, or is expected, and not who else is there.
	s.leave(come("[2001:db8:5::1]:1"), true)
	s.expect(slices.Values([]string{"2001:db8:5::2", "fe80::2%wlan0", "no address"}))
	for range 2 * newFrom {
		come("[2001:db8:5::666]:1")
	}
	if come("[2001:db8:5::666]:2") != nil || come("[2001:db8:5::1]:2") == nil || come("[2001:db8:5::2]:1") == nil {
		t.Error("those who are known are not told from others in their network")
	}
	s.together = limit.Bucket{}
	for i := range 2 * maxStrangers {
		now = now.Add(newFromAllEvery)
		come((&net.TCPAddr{IP: net.IPv4(10, 1, byte(i>>8), byte(i)), Port: 1}).String())
	}
	if s.all.Len() != maxStrangers || len(s.of) != maxStrangers {
		t.Errorf("%d strangers, %d known", s.all.Len(), len(s.of))
	}
	for c := range s.of {
		s.leave(c, false)
	}
	if s.all.Len() != 0 || len(s.from) != 0 {
		t.Errorf("%d strangers left, from %d addresses", s.all.Len(), len(s.from))
	}
}
