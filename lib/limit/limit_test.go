package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	var b Bucket
	begin := time.Unix(1e9, 0)
	for i, c := range []struct {
		after time.Duration
		n     int
		wait  time.Duration
	}{
		{0, 9, 0}, // more at once than there is: paid for by waiting
		{0, 1, 40 * time.Second},
		{39 * time.Second, 1, time.Second},
		{40 * time.Second, 0, 0}, // looks, and takes nothing
		{40 * time.Second, 1, 0},
		{40 * time.Second, 1, 10 * time.Second},
		{-time.Hour, 1, 10 * time.Second}, // set back
		{10*time.Second - time.Hour, 1, 0},
		{time.Hour, 6, 0}, // full, and not more than that
		{time.Hour, 1, 10 * time.Second},
	} {
		if wait := b.Take(begin.Add(c.after), c.n, 6, 10*time.Second); wait != c.wait {
			t.Errorf("%d: %s, want %s", i, wait, c.wait)
		}
	}
}

func TestAddresses(t *testing.T) {
	a, now := Addresses{Most: 5, Every: 10 * time.Second}, time.Now()
	take := func(from string, after time.Duration) time.Duration {
		return a.Take(netip.MustParseAddr(from), now.Add(after))
	}
	for i := range 5 {
		if wait := take("192.168.1.7", 0); wait != 0 {
			t.Errorf("try %d has to wait %s", i, wait)
		}
	}
	for _, c := range []struct {
		from        string
		after, wait time.Duration
	}{
		{"192.168.1.7", 0, 10 * time.Second},
		{"::ffff:192.168.1.7", 4 * time.Second, 6 * time.Second},
		{"192.168.1.8", 4 * time.Second, 0},
		{"192.168.1.7", 11 * time.Second, 0},
		{"192.168.1.7", 11 * time.Second, 9 * time.Second},
	} {
		if wait := take(c.from, c.after); wait != c.wait {
			t.Errorf("%+v: %s", c, wait)
		}
	}
	a.GiveBack(netip.MustParseAddr("192.168.1.7"))
	if wait := take("192.168.1.7", 11*time.Second); wait != 0 {
		t.Errorf("after one was given back: %s", wait)
	}
	for i := range 2 * mostAddresses {
		take(fmt.Sprintf("10.0.%d.%d", i/256, i%256), 0)
	}
	if len(a.each) > mostAddresses {
		t.Errorf("%d addresses are remembered", len(a.each))
	}
}

// Who is in debt is not forgotten for those who are not.
func TestAddressesInDebtAreRemembered(t *testing.T) {
	a, now := Addresses{Most: 1, Every: time.Minute}, time.Now()
	late := now.Add(time.Hour)
	for i := range mostAddresses - 1 {
		a.Take(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/256, i%256)), now)
	}
	bad := netip.MustParseAddr("192.0.2.1")
	a.Take(bad, late)
	a.Take(netip.MustParseAddr("192.0.2.2"), late)
	if wait := a.Take(bad, late); wait != time.Minute || len(a.each) != 2 {
		t.Errorf("it waits %s, of %d addresses", wait, len(a.each))
	}
}

func TestNetwork(t *testing.T) {
	for from, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "::1": "::1", "2001:db8::5:6": "2001:db8::", "fe80::1%wlan0": "fe80::"} {
		if got := Network(netip.MustParseAddr(from)).String(); got != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
}
