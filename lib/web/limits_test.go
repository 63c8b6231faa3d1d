package web

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
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

func TestTries(t *testing.T) {
	tries, now, from := newTries(5, 10*time.Second), time.Now(), netip.MustParseAddr("192.168.1.7")
	for i := range 5 {
		if wait := tries.take(from, now); wait != 0 {
			t.Errorf("try %d has to wait %s", i, wait)
		}
	}
	if wait := tries.take(from, now); wait != 10*time.Second {
		t.Errorf("after five: %s", wait)
	}
	if wait := tries.take(from, now.Add(4*time.Second)); wait.Round(time.Millisecond) != 6*time.Second {
		t.Errorf("four seconds later: %s", wait)
	}
	if wait := tries.take(netip.MustParseAddr("192.168.1.8"), now); wait != 0 {
		t.Errorf("another address: %s", wait)
	}
	if wait := tries.take(from, now.Add(11*time.Second)); wait != 0 {
		t.Errorf("eleven seconds later: %s", wait)
	}
	tries.giveBack(from)
	if wait := tries.take(from, now.Add(11*time.Second)); wait != 0 {
		t.Errorf("the last was right: %s", wait)
	}
	for i := range 2 * mostAddresses {
		tries.take(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/256, i%256)), now)
	}
	if len(tries.left) > mostAddresses {
		t.Errorf("%d addresses are remembered", len(tries.left))
	}
}
