package web

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func TestLogin(t *testing.T) {
	data := t.TempDir()
	main := startMain(t, data)
	s := open(t, data)
	code := s.code(wire.RoleAdmin)
	got := s.do("POST", "/login", `{"code":"`+code+`"}`, asJSON)
	whole := got.header.Get("Set-Cookie")
	if got.status != 204 || !strings.HasPrefix(whole, "rc=rcb1_") || !strings.HasSuffix(whole, "; HttpOnly; SameSite=Strict") ||
		!strings.Contains(whole, "; Path=/; Max-Age=6047") && !strings.Contains(whole, "; Path=/; Max-Age=6048") {
		t.Error(got)
	}
	if got := s.do("POST", "/login", `{"code":"`+code+`"}`, asJSON); got.status != 401 || !strings.Contains(got.body, errLogin.message) {
		t.Error(got)
	}
	pair, _, _ := strings.Cut(whole, ";")
	cookie := "Cookie: " + pair
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, cookie, asJSON, "Sec-Fetch-Site: same-origin"); got.status != 201 {
		t.Error(got)
	}
	if got := s.get("/", cookie); !strings.Contains(got.body, `action="/logout"`) {
		t.Error(got)
	}
	main.stop()
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, cookie, asJSON); got.status != 503 {
		t.Error(got)
	}
	startMain(t, data) // at another port
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, cookie, asJSON); got.status != 201 {
		t.Error(got)
	}
	if got := open(t, data).get("/", cookie, "Via: 1.1 proxy"); got.status != 200 { // another rc-web
		t.Error(got)
	}
	got = s.do("POST", "/logout", "", cookie, "Accept: text/html")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/login" || !strings.HasPrefix(got.header.Get("Set-Cookie"), "rc=; Path=/; Max-Age=0") {
		t.Error(got)
	}
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, cookie, asJSON); got.status != 401 {
		t.Error(got)
	}
	if got := s.do("POST", "/logout", "", cookie, "Accept: text/html"); got.status != http.StatusSeeOther { // pressed twice
		t.Error(got)
	}
}

// TestLoginForm is the login without JavaScript.
func TestLoginForm(t *testing.T) {
	data := t.TempDir()
	startMain(t, data)
	s := openBeyond(t, data, Options{})
	const form, browser = "Content-Type: application/x-www-form-urlencoded", "Accept: text/html"
	got := s.do("POST", "/login", "code=rcl1_x", form, browser)
	if got.status != 401 || !strings.Contains(got.body, errLogin.message) || !strings.Contains(got.body, "<form") {
		t.Error(got)
	}
	address := strings.ReplaceAll(s.url+"/login#"+s.code(wire.RoleSubmit), "#", "%23")
	got = s.do("POST", "/login", "code=+"+address+"%0d%0a", form, browser)
	if c := got.header.Get("Set-Cookie"); got.status != 303 || got.header.Get("Location") != "/" || !strings.HasPrefix(c, "__Host-rc=rcb1_") || !strings.HasSuffix(c, "; HttpOnly; Secure; SameSite=Strict") {
		t.Error(got)
	}
	for _, c := range []struct {
		body   string
		header string
		want   int
	}{
		{"code=x", "Content-Type: text/plain", 415},
		{`{"code":"x"}`, "X: y", 415},
		{`{"code":"x","role":"admin"}`, asJSON, 400},
		{`{"code":"x","CODE":"y"}`, asJSON, 400},
		{"code=" + strings.Repeat("x", 1<<10), form, 413},
		{"%zz", form, 400},
	} {
		if got := s.do("POST", "/login", c.body, c.header); got.status != c.want {
			t.Errorf("%s: %v", c.body, got)
		}
	}
	if got := s.do("POST", "/login", "code="+s.code(wire.RoleSubmit), form, "Origin: https://evil.example"); got.status != 403 {
		t.Error(got)
	}
	// A form changes nothing elsewhere.
	if got := s.do("POST", "/api/v1/tasks", "task_type=echo", form, "Authorization: Bearer "+s.token(wire.RoleAdmin)); got.status != 415 {
		t.Error(got)
	}
}

func TestWrongCodesAreFew(t *testing.T) {
	data := t.TempDir()
	startMain(t, data)
	s := openAt(t, data, "127.0.0.1:0", Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	const wrong = `{"code":"rcl1_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`
	for _, from := range []string{"X-Forwarded-For: 192.168.1.7", "X-Forwarded-For: 192.168.1.7, 192.168.1.8"} {
		for range mostWrongCodes {
			if got := s.do("POST", "/login", wrong, asJSON, from); got.status != 401 {
				t.Error(got)
			}
		}
		got := s.do("POST", "/login", wrong, asJSON, from)
		if got.status != 429 || !strings.Contains(got.body, "E_RATE") || got.header.Get("Retry-After") != "10" {
			t.Error(got, got.header)
		}
	}
	got := s.do("POST", "/login", `{"code":"`+s.code(wire.RoleRead)+`"}`, asJSON, "X-Forwarded-For: 192.168.1.9", "X-Forwarded-Proto: https")
	if got.status != 204 || !strings.HasPrefix(got.header.Get("Set-Cookie"), "__Host-rc=") {
		t.Error(got)
	}
}

// TestRightCodesAreMany: only wrong ones count.
func TestRightCodesAreMany(t *testing.T) {
	s := newSite(t)
	for range 2 * mostWrongCodes {
		s.session(wire.RoleRead)
	}
}

func TestStreamsOfOneAddress(t *testing.T) {
	s := newSite(t)
	s.web.listeners = newCrowd(1, func(netip.Addr) bool { return false })
	s.web.options.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	auth := "Authorization: Bearer " + s.token(wire.RoleRead)
	first := s.events("/stream/devices", auth, "X-Forwarded-For: 192.168.1.7")
	first.next()
	if got := s.get("/stream/logs", auth, "X-Forwarded-For: 192.168.1.7"); got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "this address") {
		t.Error(got)
	}
	s.events("/stream/logs", auth, "X-Forwarded-For: 192.168.1.8").next()
}
