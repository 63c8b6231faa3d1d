package web

import (
	"net/netip"
	"testing"
)

func TestCrowd(t *testing.T) {
	c := newCrowd(2, func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") })
	enter := func(address string) func() {
		leave, ok := c.enter(netip.MustParseAddr(address))
		if !ok {
			return nil
		}
		return leave
	}
	first, second := enter("192.168.1.7"), enter("192.168.1.7")
	if first == nil || second == nil || enter("192.168.1.7") != nil || enter("192.168.1.8") == nil {
		t.Error("two of an address, and no more")
	}
	first()
	if enter("192.168.1.7") == nil {
		t.Error("one has left")
	}
	if enter("2001:db8::1") == nil || enter("2001:db8::2") == nil || enter("2001:db8::3") != nil {
		t.Error("a host of IPv6 has as many addresses as it likes")
	}
	for range 10 {
		if enter("127.0.0.1") == nil || enter("::1") == nil || enter("10.0.0.1") == nil {
			t.Fatal("who is exempt was refused")
		}
	}
}
