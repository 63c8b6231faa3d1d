package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"

// hostile is what a name, a reason or an output can be.
const hostile = "<script>alert(1)</script> \" ' & \u202egnp.exe"

// has sees that a page has some texts, and nothing that the policy forbids or that somebody else wrote as markup.
func (s *site) has(path string, headers []string, texts ...string) string {
	s.t.Helper()
	got := s.get(path, append(headers, browser)...)
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		s.t.Errorf("%s: %v", path, got)
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			s.t.Errorf("%s: there is no %q in\n%s", path, text, got.body)
		}
	}
	s.isClean(path, got.body)
	return got.body
}

func (s *site) isClean(path, body string) {
	s.t.Helper()
	for _, bad := range []string{"<script>", " style=", " onclick=", " onload=", "javascript:", "\u202e", "\x1b", "ZgotmplZ", "<no value>", "%!"} {
		if strings.Contains(body, bad) {
			s.t.Errorf("%s: there is %q in\n%s", path, bad, body)
		}
	}
	for _, needed := range []string{`<html lang="en">`, "<main ", `aria-live="polite"`, `class="skip"`, "<h1", "<nav "} {
		if strings.Count(body, needed) != 1 {
			s.t.Errorf("%s: %q stands there %d times", path, needed, strings.Count(body, needed))
		}
	}
}

// busySite is a cluster with a task in each state.
func busySite(t *testing.T) (s *site, ids map[string]string) {
	s = newSite(t)
	startWorker(t, s.data, "pixel-3a")
	gone := startWorker(t, s.data, "nexus-7")
	logs := s.events("/stream/logs")
	for seen := map[string]bool{}; len(seen) < 2; {
		v := logs.next()
		for _, name := range []string{"pixel-3a", "nexus-7"} {
			if strings.Contains(v.data, name+" is online") {
				seen[name] = true
			}
		}
	}
	gone.stop()
	logs.until("nexus-7 is offline")
	on := task.Requirements{Device: "pixel-3a"}
	script := func(script string) []byte { return []byte(`{"script":` + string(quoted(script)) + `}`) }
	taken := s.submit(
		task.Spec{Type: task.TypeShell, Name: hostile, Requirements: on, Payload: script("printf '<script>alert(2)</script> \\033[31mred\\033[0m \\033]0;t\\007 \\342\\200\\256\\n'; echo wrong >&2; exit 3")},
		task.Spec{Type: task.TypeShell, Name: "works", Requirements: on, Payload: script("echo it works")},
		task.Spec{Type: task.TypeShell, Name: "late", Requirements: on, Timeout: 0.1, Payload: script("sleep 60")},
		task.Spec{Type: task.TypeShell, Name: "long", Requirements: on, Payload: script("yes 0123456789 | head -c 100000")},
	)
	for _, id := range taken {
		s.finished(id)
	}
	ids = map[string]string{"failed": taken[0], "completed": taken[1], "timeout": taken[2], "long": taken[3]}
	more := s.submit(
		task.Spec{Type: task.TypeShell, Name: "goes on", Requirements: on, Payload: script("echo begun; sleep 600")},
		task.Spec{Type: task.TypeEcho, Name: hostile, Requirements: task.Requirements{Platform: "amiga"}, Payload: echo.Payload},
		task.Spec{Type: task.TypeEcho, Requirements: task.Requirements{Platform: "atari"}, Payload: echo.Payload},
	)
	ids["running"], ids["queued"], ids["cancelled"] = more[0], more[1], more[2]
	if _, err := s.client().Cancel(t.Context(), wire.Select{Tasks: more[2:]}); err != nil {
		t.Fatal(err)
	}
	for p, err := range s.client().Output(t.Context(), wire.FollowOutput{Task: more[0], Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Data) > 0 {
			break
		}
	}
	return s, ids
}

func quoted(s string) []byte { return fmt.Appendf(nil, "%q", s) }

func TestViews(t *testing.T) {
	s, ids := busySite(t)
	none := []string(nil)
	page := s.has("/devices", none, `href="/devices/pixel-3a"`, `class="state online">online<`, `class="state offline">offline<`, "<dd>1/1</dd>", "As text", "ID", `aria-current="page"`)
	if strings.Index(page, `id="d-pixel-3a"`) > strings.Index(page, `id="d-nexus-7"`) {
		t.Error("what is offline stands before what is online")
	}
	if page := s.has("/devices?q=PIXEL&status=", none); strings.Contains(page, "d-nexus-7") || !strings.Contains(page, "d-pixel-3a") {
		t.Error(page)
	}
	if page := s.has("/devices?status=offline", none); strings.Contains(page, "d-pixel-3a") || !strings.Contains(page, "d-nexus-7") {
		t.Error(page)
	}
	s.has("/devices?q="+url.QueryEscape(`"><script>`), none, "None of the 2 devices", "&#34;&gt;&lt;script&gt;")
	s.has("/devices/pixel-3a", none, "<h1>pixel-3a</h1>", "sandbox", "fingerprint", `href="/tasks/`+ids["running"]+`"`)
	page = s.has("/tasks", none, "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;U&#43;202E&gt;gnp.exe", `<span class="dim">(3)</span>`, `<span class="count">`)
	for state, id := range ids {
		if !strings.Contains(page, `href="/tasks/`+id+`"`) || state != "long" && !strings.Contains(page, `class="state `+state+`">`+state) {
			t.Errorf("%s: %s is not there", state, id)
		}
	}
	for query, want := range map[string]string{"state=failed": "failed", "q=WORKS": "completed", "device=pixel-3a&state=running&q=&job=": "running"} {
		page := s.has("/tasks?"+query, none)
		for state, id := range ids {
			if there := strings.Contains(page, `id="t-`+id+`"`); there != (state == want) {
				t.Errorf("%s: %s is there: %v", query, state, there)
			}
		}
	}
	s.has("/tasks/"+ids["failed"], none, "exit 3", "&lt;script&gt;alert(2)&lt;/script&gt; red ␛]0;t␇ &lt;U&#43;202E&gt;", `<span class="stderr">wrong`, "attempts")
	s.has("/tasks/"+ids["queued"], none, "amiga", "Nothing yet.")
	s.has("/tasks/"+ids["running"], none, "begun", `data-live="/stream/tasks/`+ids["running"]+`/output" data-every="2"`)
	if page := s.has("/tasks/"+ids["long"], none, "stand before"); strings.Count(page, "0123456789") < 1000 || len(page) > 30_000 {
		t.Errorf("%d bytes", len(page))
	}
	s.has("/logs", none, "device pixel-3a is online", `<span class="level warning">warning</span>`, "UTC")
	if page := s.has("/logs?level=warning&device=", none); strings.Contains(page, ">info<") {
		t.Error(page)
	}
	s.has("/charts", none, "Tasks ended", `<polyline class="running"`, "Numbers", "−30 min")
	s.has("/charts?window=6h", none, "−6 h")
	s.has("/help", none, "<kbd>F5</kbd>", "/text/devices", "rc-web login")
	s.has("/join", none, "rc-web login", `href="/login"`)
	s.has("/", none, `id="terminal"`, "<noscript>", "Newest tasks", `href="/devices/pixel-3a"`)
	first := s.get("/")
	if m := regexp.MustCompile(`name="style-nonce" content="([A-Z2-7]{26})"`).FindStringSubmatch(first.body); m == nil ||
		!strings.Contains(first.header.Get("Content-Security-Policy"), "script-src 'self'; style-src 'self'; style-src-elem 'self' 'nonce-"+m[1]+"'; style-src-attr 'unsafe-inline'; ") {
		t.Error(first.header)
	}
}

func TestTasksArePaged(t *testing.T) {
	s := newSite(t)
	var specs []task.Spec
	for i := range 2*tasksAtOnce + 5 {
		specs = append(specs, task.Spec{Type: task.TypeEcho, Name: fmt.Sprintf("number %d", i), Payload: echo.Payload})
	}
	ids := s.submit(specs...)
	seen := map[string]bool{}
	path, pages := "/tasks?state=queued", 0
	for ; path != ""; pages++ {
		page := s.has(path, nil)
		for _, id := range ids {
			if strings.Contains(page, `id="t-`+id+`"`) {
				if seen[id] {
					t.Errorf("%s comes twice", id)
				}
				seen[id] = true
			}
		}
		path = ""
		if _, rest, more := strings.Cut(page, `<a rel="next" href="`); more {
			path, _, _ = strings.Cut(rest, `"`)
			path = strings.ReplaceAll(path, "&amp;", "&")
			if !strings.Contains(path, "state=queued") {
				t.Errorf("%s has lost the state", path)
			}
		}
	}
	if len(seen) != len(ids) || pages != 3 {
		t.Errorf("%d of %d on %d pages", len(seen), len(ids), pages)
	}
}

// TestDeviceCards draws devices in states that take long to come about.
func TestDeviceCards(t *testing.T) {
	s := open(t, t.TempDir())
	heat, power, yes := 41.6, 80.0, true
	d := device.Device{ID: "pixel", Status: device.Paused, Reason: hostile, Untrusted: true, LastSeen: noon, Profile: device.Profile{Slots: 2, Info: device.Info{Platform: "android", Model: hostile}},
		Metrics: device.Metrics{Temperature: &heat, Battery: &power, Charging: &yes}}
	var b bytes.Buffer
	f := &frame{Name: "devices", Path: "/devices", Body: &fleet{Cards: s.web.cardsOf([]device.Device{d}, noon.Add(time.Minute))}}
	if err := pageTemplates["devices"].Execute(&b, f); err != nil {
		t.Fatal(err)
	}
	s.isClean("devices", b.String())
	for _, want := range []string{"paused", "untrusted", "42 °C", "80%", "charging", "&lt;script&gt;", "0/2"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
	devices := []device.Device{{ID: "c", Status: device.Offline}, {ID: "b", Status: device.Online}, {ID: "d", Status: device.Pending}, {ID: "a", Status: device.Online}}
	sortDevices(devices)
	var order string
	for _, d := range devices {
		order += d.ID
	}
	if order != "abdc" {
		t.Error(order)
	}
}

// wavy are values for lines as long as they get.
func wavy() (values []float32) {
	for i := range historyPoints {
		values = append(values, float32(50+40*math.Sin(float64(i))))
	}
	return values
}

// TestPagesAreSmall: 60 KB is all that a view may take, with its style sheet and scripts.
func TestPagesAreSmall(t *testing.T) {
	common := 0
	for _, name := range []string{"page.css", "page.js", "theme.js"} {
		b, err := statics.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		common += len(b)
	}
	card := deviceCard{ID: "raspberrypi-4", Status: "draining", Reason: "asked to drain", Platform: "linux aarch64", Model: "Raspberry Pi 4 Model B", Seen: "10s ago", Heat: "50 °C", Battery: "80%",
		Tasks: "1/2", Charging: true, CPU: loadBar(50), Memory: loadBar(60), Spark: sparkOf("CPU", " %", 100, wavy())}
	row := taskRow{ID: "t00000000", State: "completed", Type: "shell", What: strings.Repeat("word ", 12), Device: "raspberrypi-4", Time: "10s", Submitted: "1m ago", Reason: strings.Repeat("why ", 10)}
	event := eventRow{Seq: 123456, When: "2026-11-26T12:00:00Z", Time: "12:00:00", Level: "warning", What: strings.Repeat("word ", 14), See: "/tasks/t00000000"}
	var values [clusterSeries][]float32
	for i := range values {
		values[i] = wavy()
	}
	d := measuredDevice("raspberrypi-4", 50)
	for i := range d.Profile.TaskTypes {
		d.Profile.TaskTypes[i] = "shell"
	}
	for name, body := range map[string]any{
		"devices": &fleet{Tiles: tilesOf(&cluster.Status{}), Cards: many(card, devicesAtOnce), Statuses: device.Statuses, Text: strings.Repeat(strings.Repeat("x", 100)+"\n", devicesAtOnce)},
		"tasks":   &taskTable{Tasks: many(row, tasksAtOnce), Counts: many(stateCount{"completed", 1000, "/tasks?state=completed", false}, 7)},
		"task": &taskView{Row: row, Facts: text.TaskFacts(&task.Task{Spec: echo}, text.Style{}), Attempts: many(attemptRow{Device: "raspberrypi-4", Outcome: "failed"}, 4),
			Pieces: []outputPiece{{false, strings.Repeat("x", outputAtOnce)}}},
		"device": &deviceView{Card: card, Facts: text.DeviceFacts(&d, text.Style{}), Tasks: many(row, 16), Sparks: many(namedSpark{"CPU", "5 %", card.Spark}, 3), May: true},
		"logs":   &logBook{Days: []logDay{{"2026-11-26", many(event, eventsAtOnce)}}},
		"charts": &charts{Charts: clusterCharts(&windows[0], values)},
		"home":   &overview{Tiles: tilesOf(&cluster.Status{}), Devices: many(card, homeDevices), Tasks: many(row, pageTasks)},
		"join":   &invitation{May: true, Lasts: lasts},
		"help":   nil,
	} {
		var b bytes.Buffer
		if err := pageTemplates[name].Execute(&b, &frame{Name: name, Path: "/" + name, Node: &node{}, Body: body}); err != nil {
			t.Fatal(err)
		}
		if size := common + b.Len(); size > 60_000 {
			t.Errorf("%s: %d bytes", name, size)
		} else {
			t.Logf("%s: %d bytes, %d of them of all pages", name, size, common)
		}
	}
}

func many[T any](thing T, n int) (list []T) {
	for range n {
		list = append(list, thing)
	}
	return list
}

func TestTroubleIsAPage(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]int{"/nope": 404, "/tasks/tzzzzzzzz": 404, "/devices/nobody": 404, "/tasks?state=done": 400, "/devices?status=up": 400, "/devices?stauts=x": 400,
		"/charts?window=1y": 400, "/help?x=1": 400, "/join?x=1": 400, "/?x=1": 400, "/tasks/x": 400} {
		got := s.get(path, browser)
		if got.status != want || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s: %v", path, got)
		}
		s.isClean(path, got.body)
	}
	for _, path := range []string{"/api/v1/nope", "/text/nope"} {
		if got := s.get(path, browser); got.status != 404 || strings.Contains(got.body, "<html") {
			t.Error(got)
		}
	}
	away := open(t, t.TempDir())
	for _, path := range []string{"/", "/devices", "/tasks", "/tasks/t00000000", "/logs", "/charts", "/join"} {
		got := away.get(path, browser)
		if got.status != 503 || got.header.Get("Retry-After") != "2" || !strings.Contains(got.body, `http-equiv="refresh"`) || !strings.Contains(got.body, `data-every="5"`) {
			t.Errorf("%s: %v", path, got)
		}
		away.isClean(path, got.body)
	}
	away.has("/help", nil, "rc-web login")
}

func TestForms(t *testing.T) {
	s, ids := busySite(t)
	admin, reader := "Cookie: "+s.session(wire.RoleAdmin), "Cookie: "+s.session(wire.RoleRead)
	post := func(path, body, cookie string) answer {
		t.Helper()
		return s.do("POST", path, body, asForm, browser, cookie, "Sec-Fetch-Site: same-origin", "Origin: "+s.url)
	}
	leads := func(path, body, to string) {
		t.Helper()
		if got := post(path, body, admin); got.status != 303 || got.header.Get("Location") != to {
			t.Errorf("%s: %v", path, got)
		}
	}
	running, failed := "/tasks/"+ids["running"], "/tasks/"+ids["failed"]
	if page := s.has(running, []string{reader}); strings.Contains(page, running+"/cancel") {
		t.Error("who may only read is offered to cancel")
	}
	s.has(running, []string{admin}, running+"/cancel")
	for _, path := range []string{running + "/cancel", failed + "/retry", "/devices/pixel-3a/drain", "/join"} {
		if got := post(path, "", reader); got.status != 403 || !strings.Contains(got.body, "<h1>") || !strings.Contains(got.body, "yours is read") {
			t.Errorf("%s: %v", path, got)
		}
		if got := post(path, "", "X: y"); got.status != 401 || !strings.Contains(got.body, `href="/login"`) {
			t.Errorf("%s: %v", path, got)
		}
		if got := s.do("POST", path, "{}", asJSON, admin); got.status != 415 {
			t.Errorf("%s: %v", path, got)
		}
	}
	leads(running+"/cancel", "", running)
	s.finished(ids["running"])
	if got := post(running+"/cancel", "", admin); got.status != 409 || !strings.Contains(got.body, "is over") {
		t.Error(got)
	}
	s.has(failed, []string{admin}, failed+"/retry")
	leads(failed+"/retry", "", failed)

	s.has("/devices/pixel-3a", []string{admin}, "/devices/pixel-3a/drain", "Remove pixel-3a")
	leads("/devices/pixel-3a/drain", "", "/devices/pixel-3a")
	s.has("/devices/pixel-3a", []string{admin}, "draining", "/devices/pixel-3a/undrain")
	leads("/devices/pixel-3a/undrain", "", "/devices/pixel-3a")
	if got := post("/devices/pixel-3a/approve", "", admin); got.status != 409 {
		t.Error(got)
	}
	for _, body := range []string{"", "name=nexus", "name=Nexus-7", "name=pixel-3a"} {
		if got := post("/devices/nexus-7/remove", body, admin); got.status != 400 {
			t.Error(got)
		}
	}
	leads("/devices/nexus-7/remove", "name=nexus-7", "/devices")
	if page := s.has("/devices", nil); strings.Contains(page, "nexus-7") {
		t.Error(page)
	}
}

func TestJoin(t *testing.T) {
	s := newSite(t)
	admin, reader := "Cookie: "+s.session(wire.RoleAdmin), "Cookie: "+s.session(wire.RoleRead)
	s.has("/join", []string{reader}, "with the role <b>read</b>")
	if page := s.has("/join", []string{admin}, `action="/join"`); strings.Contains(page, "rcj1_") || strings.Contains(page, "data-live") {
		t.Error(page)
	}
	got := s.do("POST", "/join", "uses=3&expires=3600", asForm, browser, admin)
	_, rest, _ := strings.Cut(got.body, "rc-workerd --join ")
	code, _, _ := strings.Cut(rest, "<")
	if got.status != 200 || !strings.HasPrefix(code, "rcj1_") || !strings.Contains(got.body, `<path class="dark" d="M4 4h7v1h-7z`) || !strings.Contains(got.body, "good for 3 devices") {
		t.Fatal(got)
	}
	s.isClean("/join", got.body)
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Encoding") != "" {
		t.Error(got.header)
	}
	start(t, "msg=connected", "rc-workerd", "--data", t.TempDir(), "--name", "tablet", "--join", code)
	s.has("/devices", nil, `href="/devices/tablet"`)
	for _, body := range []string{"uses=0", "uses=101", "uses=x", "expires=1", "expires=99999999999", "%zz"} {
		if got := s.do("POST", "/join", body, asForm, browser, admin); got.status != 400 {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestCompressed(t *testing.T) {
	s := newSite(t)
	s.submit(echo)
	for _, c := range []struct {
		path, takes string
		want        bool
	}{
		{"/devices", "gzip", true}, {"/devices", "br, gzip;q=0.5", true}, {"/devices", "gzip;q=0", false}, {"/devices", "identity", false}, {"/static/page.css", "gzip, deflate", true},
		{"/text/tasks", "gzip", true}, {"/api/v1/tasks", "gzip", true}, {"/nope", "gzip", true}, {"/metrics", "gzip", true},
	} {
		got := s.get(c.path, "Accept-Encoding: "+c.takes)
		if is := got.header.Get("Content-Encoding") == "gzip"; is != c.want {
			t.Errorf("%v: %v", c, got.header)
		}
		if !c.want {
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(c, err)
		}
		b, err := io.ReadAll(z)
		plain := s.get(c.path, "Accept-Encoding: identity")
		if err != nil || c.path != "/metrics" && c.path != "/devices" && string(b) != plain.body || !strings.Contains(got.header.Get("Vary")+plain.header.Get("Vary"), "Accept") && c.path != "/metrics" {
			t.Errorf("%v: %v %s\n%s", c, err, b, plain.body)
		}
	}
	resp, err := s.http.Do(s.request("GET", "/stream/logs", "", "Accept-Encoding: gzip"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Encoding") != "" {
		t.Error("a stream is compressed")
	}
}

func TestStaticsAreKept(t *testing.T) {
	s := newSite(t)
	page := s.get("/devices").body
	for _, name := range []string{"page.css", "page.js", "theme.js"} {
		address := staticAddress(name)
		got := s.get(address)
		tag := got.header.Get("ETag")
		if got.status != 200 || got.header.Get("Cache-Control") != "private, max-age=31536000, immutable" || tag == "" || !strings.Contains(page, strings.ReplaceAll(address, "&", "&amp;")) {
			t.Errorf("%s: %v", address, got)
		}
		if got := s.get("/static/" + name + "?v=other"); got.header.Get("Cache-Control") != "private, no-cache" || got.status != 200 {
			t.Error(got)
		}
		if got := s.get("/static/"+name, "If-None-Match: "+tag); got.status != http.StatusNotModified || got.body != "" {
			t.Error(got)
		}
	}
}

// TestScriptKeepsToThePolicy: what the policy refuses would stop the page.
func TestScriptKeepsToThePolicy(t *testing.T) {
	for _, name := range []string{"page.js", "theme.js", "login.js"} {
		b, err := os.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "DOMParser", "document.write", "eval(", "new Function", "srcdoc", "setHTMLUnsafe", ".style"} {
			if strings.Contains(string(b), sink) {
				t.Errorf("%s: %s", name, sink)
			}
		}
	}
}
