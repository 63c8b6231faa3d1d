package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestHostIsCheckedFirst(t *testing.T) {
	s := open(t, t.TempDir())
	for _, path := range []string{"/healthz", "/", "/nope", "/text/devices?x=1", "/api/v1/tasks", "/stream/logs", "/static/page.js"} {
		got := s.get(path, "Host: evil.example")
		if got.status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if got.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no policy", path)
		}
	}
	if got := s.do("POST", "/api/v1/tasks", "{}", "Host: evil.example", "Origin: http://evil.example"); got.status != http.StatusMisdirectedRequest {
		t.Error(got)
	}
}

func TestCrossOrigin(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"POST", "/api/v1/tasks", []string{"Origin: http://evil.example"}, 403},
		{"POST", "/api/v1/tasks", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"POST", "/api/v1/tasks", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"POST", "/api/v1/tasks", []string{"Origin: null"}, 403},
		{"DELETE", "/nope", []string{"Origin: http://evil.example"}, 403},
		{"POST", "/api/v1/tasks", []string{"Sec-Fetch-Site: same-origin"}, 401},
		{"POST", "/api/v1/tasks", nil, 401}, // a script
		{"GET", "/nope", []string{"Sec-Fetch-Site: cross-site"}, 404},
		{"OPTIONS", "/api/v1/tasks", []string{"Origin: http://evil.example", "Access-Control-Request-Method: POST"}, 405},
	} {
		got := s.do(c.method, c.path, "", c.headers...)
		if got.status != c.want {
			t.Errorf("%v: %d %s", c, got.status, got.body)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%v: %s", c, name)
			}
		}
	}
}

func TestStreamsAreForOurPages(t *testing.T) {
	s := newSite(t)
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null"} {
		for _, path := range []string{"/stream/logs", "/stream/devices"} {
			if got := s.get(path, header); got.status != http.StatusForbidden {
				t.Errorf("%s %s: %d %s", path, header, got.status, got.body)
			}
		}
	}
	s.events("/stream/logs", "Sec-Fetch-Site: same-origin").next()
	s.events("/stream/logs", "Origin: "+s.url).next()
}

func TestNoSuchPage(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		method, path string
		status       int
		body, allow  string
	}{
		{"GET", "/nope", 404, "there is no such page\n", ""},
		{"GET", "/static/..%2fpage.html", 404, "there is no such page\n", ""},
		{"GET", "/static/page.html", 404, "there is no such page\n", ""},
		{"GET", "/api/v1/nope", 404, `{"status":"error","message":"there is no such page","error_code":"E_NOT_FOUND"}` + "\n", ""},
		{"POST", "/text/devices", 405, "\"POST\" is not possible here: only GET, HEAD\n", "GET, HEAD"},
		{"PUT", "/api/v1/tasks", 405, `{"status":"error","message":"\"PUT\" is not possible here: only GET, HEAD, POST","error_code":"E_METHOD"}` + "\n", "GET, HEAD, POST"},
	} {
		got := s.do(c.method, c.path, "")
		if got.status != c.status || got.body != c.body || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %q %q", c.method, c.path, got.status, got.body, got.header.Get("Allow"))
		}
	}
}

func TestHeaders(t *testing.T) {
	s := open(t, t.TempDir())
	for _, path := range []string{"/", "/nope", "/metrics", "/devices", "/static/page.css"} {
		h := s.get(path).header
		if path == "/static/page.css" && h.Get("Cache-Control") == "private, no-cache" { // as it says itself
			h.Set("Cache-Control", "no-store")
		}
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s: %q", path, name, h.Get(name))
			}
		}
	}
}

// pipes accepts as many connections as it is asked for.
type pipes struct{}

func (p *pipes) Accept() (net.Conn, error) {
	here, there := net.Pipe()
	there.Close()
	return here, nil
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func nobodyExempt(most int) *crowd {
	return newCrowd(most, func(netip.Addr) bool { return false })
}

func TestConnectionsAreLimited(t *testing.T) {
	l := newLimitListener(&pipes{}, 2, nobodyExempt(1))
	accept := func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		return c
	}
	first, second := accept(), accept()
	third := make(chan net.Conn)
	go func() { third <- accept() }()
	select {
	case <-third:
		t.Fatal("three connections where two may be")
	default:
	}
	releaseConn(withConn(context.Background(), first)) // it became a stream
	c := <-third
	first.Close() // which gives nothing back a second time
	if len(l.slots) != 2 {
		t.Errorf("%d slots are taken", len(l.slots))
	}
	second.Close()
	c.Close()
	if len(l.slots) != 0 {
		t.Errorf("%d slots are taken", len(l.slots))
	}
	l.Close()
	full := newLimitListener(&pipes{}, 0, nobodyExempt(1))
	full.Close()
	if _, err := full.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// home gives connections from one address of the network.
type home struct {
	pipes
	closed chan struct{} // holds a value after one was closed
}

func (h *home) Accept() (net.Conn, error) {
	here, there := net.Pipe()
	return &neighbour{here, there, h}, nil
}

type neighbour struct {
	net.Conn
	other net.Conn
	home  *home
}

func (*neighbour) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 168, 1, 7), Port: 1} }

func (n *neighbour) Close() error {
	select {
	case n.home.closed <- struct{}{}:
	default:
	}
	return errors.Join(n.Conn.Close(), n.other.Close())
}

func TestConnectionsOfOneAddressAreLimited(t *testing.T) {
	h := &home{closed: make(chan struct{}, 1)}
	l := newLimitListener(h, 10, nobodyExempt(2))
	var open []net.Conn
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	third := make(chan net.Conn)
	go func() {
		c, _ := l.Accept()
		third <- c
	}()
	select {
	case <-third:
		t.Fatal("three connections of an address that may have two")
	case <-h.closed:
	}
	open[0].Close()
	c := <-third
	c.Close()
	open[1].Close()
	if len(l.slots) != 0 || len(l.from.many) != 0 {
		t.Errorf("%d slots are taken, %v", len(l.slots), l.from.many)
	}
}

func TestLargeHeader(t *testing.T) {
	s := open(t, t.TempDir())
	r := s.request("GET", "/healthz", "", "X-Long: "+strings.Repeat("x", 2*maxHeader))
	resp, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(resp.Status)
	}
}
