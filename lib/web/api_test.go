package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestDevicesByAPI looks at a device in each way there is, does what can be done with it, and removes it.
func TestDevicesByAPI(t *testing.T) {
	s := newSite(t)
	admin := "Authorization: Bearer " + s.token(wire.RoleAdmin)
	startWorker(t, s.data, "pixel-3a")
	changes := s.events("/stream/devices")
	changes.until(`"status":"online"`)
	status := data[deviceStatus](t, s.get("/api/v1/devices/pixel/status"))
	if status.ID != "pixel-3a" || status.Status != device.Online || status.Slots != 1 || status.LastSeen == nil || status.Tasks == nil {
		t.Errorf("%+v", status)
	}
	ping := data[pinged](t, s.do("POST", "/api/v1/devices/pixel-3a/ping", "", admin))
	if !ping.Connected || ping.Silent == nil || *ping.Silent > 60 || !strings.Contains(ping.Source, "not asked") {
		t.Errorf("%+v", ping)
	}
	sum := data[deviceSummary](t, s.get("/api/v1/devices/summary"))
	if sum.Total != 1 || sum.Online != 1 || sum.Status[device.Online] != 1 || len(sum.Status) != len(device.Statuses) || sum.Together.Slots != 1 || sum.Together.Cores == 0 {
		t.Errorf("%+v", sum)
	}
	types := data[taskTypes](t, s.get("/api/v1/tasks/types"))
	if len(types.Types) < 7 || types.Types[0].Devices != 1 {
		t.Errorf("%+v", types)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/drain", `{"within":"soon"}`, 400},
		{"POST", "/drain", `{"within":-1}`, 400},
		{"POST", "/drain", `{"within":3600}`, 200},
		{"POST", "/undrain", "", 200},
		{"POST", "/approve", "", 409},
		{"POST", "/wake", "", 409},
		{"POST", "x/undrain", "", 404},
		{"DELETE", "x", "", 404},
	} {
		if got := s.do(c.method, "/api/v1/devices/pixel-3a"+c.path, c.body, admin, asJSON); got.status != c.status {
			t.Errorf("%s %s %s: %v", c.method, c.path, c.body, got)
		}
	}
	if got := s.do("DELETE", "/api/v1/devices/pixel-3a", "", admin); got.status != 200 {
		t.Error(got)
	}
	for changes.next().name != "removed" {
	}
	if got := s.get("/api/v1/devices/pixel-3a"); got.status != 404 {
		t.Error(got)
	}
}

func TestClusterByAPI(t *testing.T) {
	s := newSite(t)
	if h := data[health](t, s.get("/api/v1/cluster/health")); h.Health != "empty" || len(h.Problems) != 1 || h.Storage != "ok" {
		t.Errorf("%+v", h)
	}
	startWorker(t, s.data, "pixel-3a")
	s.finished(s.submit(echo)[0])
	if h := data[health](t, s.get("/api/v1/cluster/health")); h.Health != "healthy" || len(h.Problems) != 0 || h.Online != 1 {
		t.Errorf("%+v", h)
	}
	if m := data[wire.Metrics](t, s.get("/api/v1/cluster/metrics")); m.Submitted != 1 || m.Runs["echo"].Counts == nil {
		t.Errorf("%+v", m)
	}
	got := s.get("/api/v1/cluster/configuration")
	if c := data[configuration](t, got); c.Name == "" || c.Version == "" || c.Heartbeat != 60 || c.OfflineAfter != 300 || c.Lease != 450 || c.Protocol != wire.Spoken {
		t.Error(got.body)
	}
	st := data[statistics](t, s.get("/api/v1/tasks/statistics"))
	if st.Submitted != 1 || st.Ended["completed"] != 1 || st.Success == nil || *st.Success != 1 || st.Types["echo"].Runs != 1 || st.Kept["completed"] != 1 {
		t.Errorf("%+v", st)
	}
}

func TestEventsByAPI(t *testing.T) {
	s := newSite(t)
	id := s.submit(echo)[0]
	s.submit(echo)
	s.submit(echo)
	var all []string
	for path := "/api/v1/events?limit=2&after=0"; ; {
		page := data[struct {
			Events []shownEvent
			Count  int
			Next   int64
			More   bool
		}](t, s.get(path))
		for _, e := range page.Events {
			all = append(all, fmt.Sprintf("%d %s", e.Seq, e.Kind))
			if e.Level == "" || e.Text == "" {
				t.Errorf("%+v", e)
			}
		}
		if page.Count != len(page.Events) || page.Count > 2 {
			t.Error(page)
		}
		if !page.More {
			break
		}
		path = fmt.Sprintf("/api/v1/events?limit=2&after=%d", page.Next)
	}
	if len(all) < 4 || !strings.HasPrefix(all[0], "1 main_started") {
		t.Error(all)
	}
	for query, want := range map[string]int{"limit=1": 1, "event=job_submitted": 3, "event=job_submitted,main_started": 4, "level=error": 0, "task=" + id: 0,
		"job=" + jobOf(t, s, id): 1, "since=2000-01-01T00:00:00Z&event=main_started": 1, "since=1h&event=main_started": 1, "since=0001-01-01T00:00:00Z&event=main_started": 1} {
		page := data[struct{ Count int }](t, s.get("/api/v1/events?"+query))
		if page.Count != want {
			t.Errorf("%s: %d events, want %d", query, page.Count, want)
		}
	}
	if page := data[struct{ Count int }](t, s.get("/api/v1/events?after=1099511627776")); page.Count != 0 { // after some restores they are as wide
		t.Errorf("%d events after one that is yet to come", page.Count)
	}
	for _, query := range []string{"event=everything", "after=-1", "after=9007199254740993", "since=yesterday", "task=x", "limit=0"} {
		if got := s.get("/api/v1/events?" + query); got.status != 400 {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestTokensByAPI(t *testing.T) {
	s := newSite(t)
	admin, submit := "Authorization: Bearer "+s.token(wire.RoleAdmin), "Authorization: Bearer "+s.token(wire.RoleSubmit)
	got := s.do("POST", "/api/v1/tokens", `{"role":"submit","name":"ci","task_types":["echo"]}`, admin, asJSON)
	made := data[tokenMade](t, got)
	if got.status != http.StatusCreated || !strings.HasPrefix(made.Token, "rcs1_") {
		t.Error(got)
	}
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, "Authorization: Bearer "+made.Token, asJSON); got.status != 201 {
		t.Error(got)
	}
	if got := s.get("/api/v1/tokens?fields=id,name", admin); got.status != 200 || !strings.Contains(got.body, `{"id":"`+made.ID+`","name":"ci"}`) || strings.Contains(got.body, "rcs1_") {
		t.Error(got)
	}
	if got := s.do("DELETE", "/api/v1/tokens/"+made.ID, "", admin); got.status != 200 {
		t.Error(got)
	}
	if got := s.get("/text/status", "Authorization: Bearer "+made.Token); got.status != 401 {
		t.Error(got)
	}
	invite := s.do("POST", "/api/v1/invites", `{"uses":2}`, admin, asJSON)
	if i := data[invited](t, invite); invite.status != 201 || !strings.HasPrefix(i.Code, "rcj1_") {
		t.Error(invite)
	}
	for _, c := range [][2]string{{"GET", "/api/v1/tokens"}, {"POST", "/api/v1/tokens"}, {"POST", "/api/v1/invites"}, {"DELETE", "/api/v1/tokens/" + made.ID}} {
		body := ""
		if c[0] == "POST" {
			body = `{}`
		}
		if got := s.do(c[0], c[1], body, submit, asJSON); got.status != 403 {
			t.Errorf("%v: %v", c, got)
		}
	}
}

func TestFieldsAndPages(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"pixel-3a", "thinkpad", "pi"} {
		startWorker(t, s.data, name)
	}
	stream := s.events("/stream/devices")
	for there := ""; strings.Count(there, `"status":"online"`) < 3; there = s.get("/api/v1/devices").body {
		stream.next()
	}
	var got []string
	for path := "/api/v1/devices?limit=2&fields=status,device_id"; path != ""; {
		a := s.get(path)
		page := data[struct {
			Devices []map[string]string
			Next    string
		}](t, a)
		for _, d := range page.Devices {
			if len(d) != 2 || d["status"] != "online" {
				t.Errorf("%v", d)
			}
			got = append(got, d["device_id"])
		}
		path = ""
		if page.Next != "" {
			path = "/api/v1/devices?limit=2&fields=status,device_id&after=" + page.Next
		}
	}
	if fmt.Sprint(got) != "[pi pixel-3a thinkpad]" {
		t.Error(got)
	}
	if a := s.get("/api/v1/devices/pi?fields=device_id"); a.body != `{"status":"success","data":{"device_id":"pi"}}`+"\n" {
		t.Error(a.body)
	}
	if a := s.get("/api/v1/tasks?fields=id"); a.status != 400 || !strings.Contains(a.body, "task_id") {
		t.Error(a)
	}
	for query, want := range map[string]int{"platform=linux": 3, "platform=android": 0, "tag=x": 0} {
		if a := strings.Count(s.get("/text/devices?"+query).body, "\n"); a != want {
			t.Errorf("%s: %d", query, a)
		}
	}
}

// TestTags: who has an answer is not sent it again.
func TestTags(t *testing.T) {
	s := newSite(t)
	s.submit(echo)
	first := s.get("/api/v1/tasks")
	tag := first.header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatal(first)
	}
	for _, known := range []string{tag, `"x", ` + tag, "*", strings.TrimPrefix(tag, "W/")} {
		if got := s.get("/api/v1/tasks", "If-None-Match: "+known); got.status != http.StatusNotModified || got.body != "" || got.header.Get("ETag") != tag {
			t.Errorf("%s: %v", known, got)
		}
	}
	s.submit(echo)
	if got := s.get("/api/v1/tasks", "If-None-Match: "+tag); got.status != 200 || got.header.Get("ETag") == tag {
		t.Error(got)
	}
}

func TestBatch(t *testing.T) {
	s := newSite(t)
	auth := "Authorization: Bearer " + s.token(wire.RoleSubmit)
	for body, want := range map[string]int{
		`[{"task_type":"echo"},{"task_type":"echo"}]`:                     201,
		`{"tasks":[{"task_type":"echo"},{"task_type":"echo"}],"key":"k"}`: 201,
		`[]`:                    400,
		`[{"task_type":"no"},]`: 400,
		`[{"task":"echo"}]`:     400,
	} {
		got := s.do("POST", "/api/v1/tasks/batch", body, auth, asJSON)
		if got.status != want || want == 201 && len(data[submitted](t, got).Tasks) != 2 {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestOutputByAPI(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	g := newGate(t)
	id := s.submit(script("printf 'a\\377'; " + g.wait() + "; printf b >&2"))[0]
	path := "/api/v1/tasks/" + id
	if v := s.events("/stream/tasks/" + id + "/output").next(); v.id != "1:2" {
		t.Error(v)
	}
	if got := s.get(path + "/output"); got.body != "a\xff" {
		t.Errorf("while it runs: %v", got)
	}
	if got := data[taskStatus](t, s.get(path+"/status")); got.State.String() != "running" || got.Ended || got.Device != "pixel-3a" {
		t.Errorf("%+v", got)
	}
	g.open(t)
	s.finished(id)
	for query, want := range map[string]string{"/output": "a\xffb", "/output?attempt=1": "a\xffb", "/output?stream=stderr": "b"} {
		if got := s.get(path + query); got.status != 200 || got.body != want || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got := s.get(path + "/output?attempt=2"); got.status != 404 || !strings.Contains(got.body, "E_NOT_FOUND") {
		t.Error(got)
	}
	value := s.submit(echo)[0]
	s.finished(value)
	if a, b := s.get("/api/v1/tasks/"+value+"/output").body, s.get("/text/tasks/"+value+"/output").body; a != "hello" || b != "hello\n" {
		t.Errorf("%q, %q", a, b)
	}
	waiting := s.submit(script("true"))[0]
	if got := s.get("/api/v1/tasks/" + waiting + "/output"); got.status != 200 || got.body != "" {
		t.Error(got)
	}
}
