package web

import (
	"net"
	"strings"
	"testing"
)

func TestIsCalled(t *testing.T) {
	own := hostNames()
	if len(own) < 2 {
		t.Skip("this host has no name")
	}
	loopback := newPlace(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000}, []string{"cluster.example"})
	beyond := newPlace(&net.TCPAddr{IP: net.IPv4zero, Port: 5000}, []string{"cluster.example"})
	for _, c := range []struct {
		host           string
		inside, beyond bool
	}{
		{"127.0.0.1:5000", true, true},
		{"127.0.0.1", true, true},
		{"127.9.9.9:80", true, true},
		{"localhost:5000", true, true},
		{"LocalHost", true, true},
		{"[::1]:5000", true, true},
		{"[::1]", true, true},
		{"[::ffff:127.0.0.1]:5000", true, true},
		{"cluster.example", true, true},
		{"Cluster.Example.:443", true, true},
		{own[0] + ":5000", false, true},
		{strings.ToUpper(own[1]), false, true},
		{"192.168.1.2:5000", false, true},
		{"[fe80::1]:5000", false, true},
		{"0.0.0.0:5000", false, true},
		{"::1", false, false},
		{"", false, false},
		{"evil.example:5000", false, false},
		{"localhost.evil.example", false, false},
		{"evil.local", false, false},
		{"127.0.0.1.evil.example", false, false},
		{"127.1", false, false},
		{"2130706433", false, false},
		{"localhost:5000@evil.test", false, false},
		{"localhost:99999", false, false},
	} {
		if loopback.isCalled(c.host) != c.inside {
			t.Errorf("on loopback %q: not %v", c.host, c.inside)
		}
		if beyond.isCalled(c.host) != c.beyond {
			t.Errorf("beyond it %q: not %v", c.host, c.beyond)
		}
	}
	if p := newPlace(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 53)}, nil); !p.isCalled("127.0.0.53:1") {
		t.Error("the address that is listened on is refused")
	}
}

func TestCheckHost(t *testing.T) {
	for name, ok := range map[string]bool{"nas": true, "nas.example.org": true, "NAS-2": true, "": false, "nas:5000": false, "http://nas": false,
		"-x": false, ".x": false, "a b": false, strings.Repeat("x", 254): false} {
		if err := CheckHost(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestURL(t *testing.T) {
	inside, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000}, &net.TCPAddr{IP: net.IPv6zero, Port: 5000}
	one := &net.TCPAddr{IP: net.ParseIP("fd00::5"), Port: 5001}
	for _, c := range []struct{ got, want string }{
		{URL(inside, nil, false), "http://127.0.0.1:5000"},
		{URL(inside, []string{"cluster.example"}, false), "http://127.0.0.1:5000"},
		{URL(everywhere, []string{"cluster.example", "nas"}, true), "https://cluster.example:5000"},
		{URL(everywhere, nil, true), "https://" + hostNames()[1] + ":5000"},
		{URL(one, nil, true), "https://[fd00::5]:5001"},
	} {
		if c.got != c.want {
			t.Errorf("%s, not %s", c.got, c.want)
		}
	}
}
