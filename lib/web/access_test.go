package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// code makes a code to log in with.
func (s *site) code(role wire.Role) string {
	s.t.Helper()
	made, err := s.client().MakeLogin(s.t.Context(), wire.MakeLogin{Role: role})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.Code
}

// session logs a browser in and gives its cookie, as name=value.
func (s *site) session(role wire.Role) string {
	s.t.Helper()
	got := s.do("POST", "/login", `{"code":"`+s.code(role)+`"}`, asJSON)
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	if got.status != http.StatusNoContent || cookie == "" {
		s.t.Fatal(got)
	}
	return cookie
}

// as makes a client of another token.
func (s *site) as(token string) *client.Client {
	s.t.Helper()
	o, err := s.web.main.as(token)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// state is all that a request could change.
func (s *site) state() string {
	s.t.Helper()
	c := s.client()
	tasks, err := collect(c.Tasks(s.t.Context(), wire.ListTasks{}))
	if err != nil {
		s.t.Fatal(err)
	}
	tokens, err := c.Tokens(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	tokens = slices.DeleteFunc(tokens, func(t wire.TokenInfo) bool { return t.Name == nameOfReaders })
	for i := range tokens {
		tokens[i].Used = nil
	}
	devices, err := c.Devices(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range devices {
		devices[i].LastSeen, devices[i].Metrics, devices[i].Status, devices[i].Profile = time.Time{}, device.Metrics{}, "", device.Profile{} // which it tells itself
	}
	b, err := json.Marshal([]any{tasks, tokens, devices})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// of makes a request of a route.
func (r *route) of(id string) (method, path, body string) {
	method, path, _ = strings.Cut(r.pattern, " ")
	if strings.Contains(path, "/devices/") {
		id = "pixel-3a"
	}
	path = strings.NewReplacer("{$}", "", "{name}", "page.js", "{id}", id).Replace(path)
	switch {
	case strings.HasPrefix(path, "/api/v1/devices/"):
		if method == "POST" {
			body = "{}"
		}
	case strings.HasPrefix(path, "/api/v1/tokens/"):
		path = "/api/v1/tokens/aaaaaaaaaa"
	case path == "/api/v1/tokens" && method == "POST":
		body = `{"role":"read"}`
	case strings.HasSuffix(path, "/file"):
		path += "?name=none"
	case strings.HasPrefix(path, "/stream/"):
		method = "HEAD" // it would not end
	case method == "POST" && (path == "/api/v1/tasks" || path == "/api/v1/tasks/batch"):
		body = `{"task_type":"echo"}`
	case method == "POST" && path == "/login":
		body = `{"code":"rcl1_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`
	case path == "/api/v1/command" || path == "/api/v1/terminal":
		body = `{"command":"rc-submit -- true; rc-ctl token make admin; rc-ctl cancel --state queued; rc-ctl remove pixel-3a"}`
	case method == "POST" && r.isForm():
		body = "name=pixel-3a"
	case method == "POST":
		body = "{}"
	}
	return method, path, body
}

// isForm says whether a page's form is sent there.
func (r *route) isForm() bool {
	_, path, _ := strings.Cut(r.pattern, " ")
	return path == "/join" || strings.HasPrefix(path, "/tasks/") || strings.HasPrefix(path, "/devices/")
}

// media is the type of its body.
func (r *route) media() string {
	if r.isForm() {
		return asForm
	}
	return asJSON
}

const asForm = "Content-Type: application/x-www-form-urlencoded"

func TestEveryRouteWantsWhatItShould(t *testing.T) {
	for _, r := range New(Options{}).routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		runs := path == "/api/v1/command" || path == "/api/v1/terminal" // lines, with the rights of who sends them: of one that may read where there is nobody
		if method != "GET" && r.wants != byToken && path != "/login" && !runs {
			t.Errorf("%s is for those who have no token", r.pattern)
		}
		if r.wants == byAnybody && path != "/healthz" && path != "/login" && path != "/static/login.js" && path != "/static/page.css" && path != "/static/theme.js" {
			t.Errorf("%s is for anybody", r.pattern)
		}
	}
}

// intruder is who asks for what is not theirs, and what each kind of route answers.
type intruder struct {
	name                    string
	headers                 []string
	anybody, reads, changes int // on loopback; 0: not looked at
	beyondReads             int // where that is another one
}

func intruders(s *site) []intruder {
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	admin, reader := s.token(wire.RoleAdmin), s.token(wire.RoleRead)
	cookie, readCookie := s.session(wire.RoleAdmin), s.session(wire.RoleRead)
	_, session, _ := strings.Cut(cookie, "=")
	name, _, _ := strings.Cut(cookie, "=")
	return []intruder{
		{name: "another Host", headers: []string{"Host: evil.example", bearer(admin)}, anybody: 421, reads: 421, changes: 421},
		{name: "another Host, with the cookie", headers: []string{"Host: evil.example", "Cookie: " + cookie}, anybody: 421, reads: 421, changes: 421},
		{name: "another origin", headers: []string{"Origin: http://evil.example", "Cookie: " + cookie}, changes: 403},
		{name: "another site", headers: []string{"Sec-Fetch-Site: cross-site", "Cookie: " + cookie}, changes: 403},
		{name: "another port of this host", headers: []string{"Sec-Fetch-Site: same-site", "Cookie: " + cookie}, changes: 403},
		{name: "nobody", changes: 401, beyondReads: 401},
		{name: "nobody, through a proxy", headers: []string{"X-Forwarded-For: 127.0.0.1"}, reads: 401, changes: 401},
		{name: "nobody, who says it was a proxy", headers: []string{"Via: 1.1 nginx"}, reads: 401, changes: 401},
		{name: "a token that may read", headers: []string{bearer(reader)}, reads: 200, changes: 403},
		{name: "a session that may read", headers: []string{"Cookie: " + readCookie}, reads: 200, changes: 403},
		{name: "a token that nobody made", headers: []string{bearer("rca1_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa")}, reads: 401, changes: 401},
		{name: "a cookie that nobody made", headers: []string{"Cookie: " + name + "=rcb1_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa"}, reads: 401, changes: 401},
		{name: "no token", headers: []string{"Authorization: Basic dTpw"}, reads: 401, changes: 401},
		{name: "cookie and bearer", headers: []string{bearer(admin), "Cookie: " + cookie}, anybody: 400, reads: 400, changes: 400},
		{name: "two cookies", headers: []string{"Cookie: " + cookie + "; " + readCookie}, anybody: 400, reads: 400, changes: 400},
		{name: "a session as bearer", headers: []string{bearer(session)}, reads: 401, changes: 401},
		{name: "a token as cookie", headers: []string{"Cookie: " + name + "=" + admin}, reads: 401, changes: 401},
		{name: "a code as bearer", headers: []string{bearer(s.code(wire.RoleAdmin))}, reads: 401, changes: 401},
		{name: "a code as cookie", headers: []string{"Cookie: " + name + "=" + s.code(wire.RoleAdmin)}, reads: 401, changes: 401},
	}
}

// TestIntruders asks for everything there is as somebody who may not, and sees that nothing changes.
func TestIntruders(t *testing.T) {
	data := t.TempDir()
	startMain(t, data)
	for _, s := range []*site{open(t, data), openBeyond(t, data, Options{})} {
		long := task.Spec{Type: task.TypeSleep, Payload: []byte(`{"seconds":60}`), Requirements: task.Requirements{Role: "nobody"}}
		waiting := s.submit(long, long)
		if _, err := s.client().Cancel(t.Context(), wire.Select{Tasks: waiting[1:]}); err != nil {
			t.Fatal(err)
		}
		if !s.beyond {
			startWorker(t, data, "pixel-3a")
			s.events("/stream/devices").until(`"status":"online"`)
		}
		all := intruders(s)
		before := s.state()
		for _, who := range all {
			for _, r := range s.web.routes() {
				for _, id := range waiting {
					method, path, body := r.of(id)
					if path == "/logout" && strings.HasPrefix(who.name, "a session") || path == "/login" && who.name == "nobody" {
						continue // that is theirs
					}
					want := who.wants(&r, s.beyond)
					s.web.wrongTokens, s.web.wrongCodes = newTries(1000, 1), newTries(1000, 1)
					got := s.do(method, path, body, append([]string{r.media()}, who.headers...)...)
					if want != 0 && got.status != want && !(path == "/logout" && want == 403 && got.status == 409) && !(want == 200 && (got.status == 409 || got.status == 404)) {
						t.Errorf("beyond %v: %s: %s %s: %d %s, not %d", s.beyond, who.name, method, path, got.status, got.body, want)
					}
				}
			}
			if after := s.state(); after != before {
				t.Fatalf("%s changed something:\n%s\n%s", who.name, before, after)
			}
		}
	}
}

func (who *intruder) wants(r *route, beyond bool) int {
	switch {
	case strings.HasSuffix(r.pattern, "/ping") && who.reads == http.StatusOK: // it changes nothing
		return who.reads
	case r.wants == byToken, strings.HasPrefix(who.name, "another") && strings.HasPrefix(r.pattern, "POST"): // nobody is logged in by a page of another site
		return who.changes
	case r.wants == byAnybody:
		return who.anybody
	case beyond && who.beyondReads != 0:
		return who.beyondReads
	}
	return who.reads
}

func TestPublicRead(t *testing.T) {
	data := t.TempDir()
	startMain(t, data)
	s := openBeyond(t, data, Options{PublicRead: true})
	for _, header := range []string{"X: y", "X-Forwarded-For: 1.1.1.1"} {
		if got := s.get("/text/status", header); got.status != 200 {
			t.Error(got)
		}
		if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, header, asJSON); got.status != 401 {
			t.Error(got)
		}
	}
}

func TestBrowsersAreLedToTheLogin(t *testing.T) {
	s := openBeyond(t, t.TempDir(), Options{})
	const browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	if got := s.get("/", browser); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login" {
		t.Error(got)
	}
	if got := s.get("/", "Accept: */*"); got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" {
		t.Error(got)
	}
	if got := s.do("POST", "/api/v1/tasks", "{}", browser, asJSON); got.status != 401 {
		t.Error(got)
	}
	got := s.get("/login", browser)
	for _, path := range []string{"/static/page.css", "/static/login.js"} {
		if !strings.Contains(got.body, path) || s.get(path).status != 200 {
			t.Errorf("%s: %v", path, s.get(path))
		}
	}
	// Nobody is told more about the cluster than that its main node does not answer.
	if got := s.get("/healthz"); got.status != 503 || got.body != "the main node does not answer\n" {
		t.Error(got)
	}
	cookie := "Cookie: __Host-rc=rcb1_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	if got := s.get("/", cookie, browser); got.status != 503 || !strings.Contains(got.body, "the main node does not answer") || strings.Contains(got.body, s.data) {
		t.Error(got)
	}
	if got := s.get("/text/status", cookie); got.status != 503 || got.body != "the main node does not answer\n" {
		t.Error(got)
	}
}

// TestReadersSeeTheirOwn: what somebody asks for with a token is asked of the main node with that token.
func TestReadersSeeTheirOwn(t *testing.T) {
	s := newSite(t)
	token := s.token(wire.RoleSubmit)
	theirs := s.submit(echo)[0]
	mine, err := s.as(token).Submit(t.Context(), []task.Spec{echo}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	auth, own := "Authorization: Bearer "+token, mine.Tasks[0].String()
	for _, path := range []string{"/text/tasks", "/api/v1/tasks", "/", "/text/logs"} {
		all, some := s.get(path).body, s.get(path, auth).body
		if !strings.Contains(all, theirs) && path != "/text/logs" || !strings.Contains(some, own) && path != "/text/logs" || strings.Contains(some, theirs) {
			t.Errorf("%s: %s\nand with the token: %s", path, all, some)
		}
	}
	if got := s.get("/api/v1/tasks/"+theirs, auth); got.status != 404 {
		t.Error(got)
	}
	if got := s.do("POST", "/api/v1/tasks/"+theirs+"/cancel", "", auth, asJSON); got.status != 404 {
		t.Error(got)
	}
	stream := s.events("/stream/logs", auth)
	stream.until("job_submitted")
	s.submit(echo)
	last, err := s.as(token).Submit(t.Context(), []task.Spec{echo}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if v := stream.until("job_submitted"); !strings.Contains(v.data, fmt.Sprintf(`"job_id":"%v"`, last.Job)) {
		t.Errorf("%v is not about %v", v, last.Job)
	}
}

// TestRevokedAtOnce: what is revoked at the main node ends here too, also where it is being used.
func TestRevokedAtOnce(t *testing.T) {
	s := newSite(t)
	token, cookie := s.token(wire.RoleRead), s.session(wire.RoleRead)
	for header, id := range map[string]string{
		"Authorization: Bearer " + token: strings.Split(token, "_")[1],
		"Cookie: " + cookie:              strings.Split(cookie, "_")[1],
	} {
		for _, path := range []string{"/text/status", "/metrics", "/text/metrics", "/", "/static/page.js"} {
			if got := s.get(path, header); got.status != 200 {
				t.Fatal(got)
			}
		}
		logs, devices := s.events("/stream/logs", header), s.events("/stream/devices", header)
		logs.next()
		devices.next()
		if err := s.client().RevokeToken(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/text/status", "/metrics", "/static/page.js"} {
			got := s.get(path, header)
			if got.status != 401 {
				t.Errorf("%s: %v", path, got)
			}
			if forgotten := strings.HasPrefix(got.header.Get("Set-Cookie"), "rc=; Path=/; Max-Age=0"); forgotten != strings.HasPrefix(header, "Cookie") {
				t.Errorf("%s: %v", path, got.header)
			}
		}
		for logs.lines.Scan() {
		}
		for devices.lines.Scan() {
		}
	}
}

func TestVisitorsAreFew(t *testing.T) {
	s := newSite(t)
	var borrowed []*visit
	for range mostVisits + 3 {
		k, err := s.web.visitors.borrow(wire.NewToken(wire.RoleRead).String())
		if err != nil {
			t.Fatal(err)
		}
		borrowed = append(borrowed, k)
	}
	if n := len(s.web.visitors.kept); n != mostVisits {
		t.Errorf("%d clients are kept while all are used", n)
	}
	for _, k := range borrowed {
		s.web.visitors.giveBack(k)
	}
	token := s.token(wire.RoleRead)
	v := &visitor{s.web.visitors, token}
	if err := v.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := s.web.visitors.kept[token]
	if n := len(s.web.visitors.kept); n != mostVisits || first == nil {
		t.Errorf("%d clients are kept", n)
	}
	if err := v.ping(t.Context()); err != nil || s.web.visitors.kept[token] != first {
		t.Errorf("it was not used again: %v", err)
	}
	if err := (&visitor{s.web.visitors, wire.NewToken(wire.RoleRead).String()}).ping(t.Context()); !errors.Is(err, errUsedUp) || len(s.web.visitors.kept) != mostVisits-1 {
		t.Errorf("a client that the main node does not know is kept: %v", err)
	}
	s.web.visitors.leave(first)
	if err := first.client.Ping(context.Background()); err == nil || s.web.visitors.kept[token] != nil {
		t.Error("a client that was not used for long is open still")
	}
	if err := v.ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.web.visitors.borrow(""); err == nil {
		t.Error("no token is as good as one")
	}
}
