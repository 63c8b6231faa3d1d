package web

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestAddressOf(t *testing.T) {
	s := New(Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}})
	for _, c := range []struct {
		peer, forwarded, proto, want string
		secure                       bool
	}{
		{"192.168.1.7:1", "", "", "192.168.1.7", false},
		{"192.168.1.7:1", "1.1.1.1", "https", "192.168.1.7", false}, // whoever says so is nobody
		{"127.0.0.1:1", "1.1.1.1", "https", "1.1.1.1", true},
		{"10.1.2.3:1", "1.1.1.1, 192.168.1.9", "http", "192.168.1.9", false}, // the first may be made up
		{"10.1.2.3:1", "1.1.1.1,192.168.1.9,10.9.9.9", "https", "192.168.1.9", true},
		{"10.1.2.3:1", "10.9.9.9", "", "10.9.9.9", false},
		{"10.1.2.3:1", "unknown", "", "10.1.2.3", false},
		{"[::ffff:10.1.2.3]:1", "::ffff:1.1.1.1", "", "1.1.1.1", false},
		{"[fe80::1%eth0]:1", "", "", "fe80::1", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		if got := s.addressOf(r).String(); got != c.want || s.isSecure(r) != c.secure {
			t.Errorf("%v: from %s, secure %v", c, got, s.isSecure(r))
		}
	}
}

func TestParseProxy(t *testing.T) {
	for text, want := range map[string]string{"192.168.1.2": "192.168.1.2/32", "10.1.0.0/8": "10.0.0.0/8", "fd00::1": "fd00::1/128", "nas": "", "": "", "10.0.0.0/33": ""} {
		if got, err := ParseProxy(text); (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
