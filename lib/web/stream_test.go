package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func TestLogStream(t *testing.T) {
	s := newSite(t)
	stream := s.events("/stream/logs?n=0")
	for range 3 {
		s.submit(echo)
	}
	seen := []event{stream.next(), stream.next(), stream.next()}
	var first struct {
		Seq                int64
		Event, Level, Text string
	}
	if err := json.Unmarshal([]byte(seen[0].data), &first); err != nil || strconv.FormatInt(first.Seq, 10) != seen[0].id ||
		first.Event != "job_submitted" || first.Level != "info" || !strings.Contains(first.Text, " submitted, 1 task") {
		t.Errorf("%+v: %v", seen[0], err)
	}
	stream.close()
	s.submit(echo) // while nobody listens
	again := s.events("/stream/logs", "Last-Event-ID: "+seen[0].id)
	if a, b, c := again.next(), again.next(), again.next(); a != seen[1] || b != seen[2] || c.id <= seen[2].id {
		t.Errorf("%v %v %v, after %v", a, b, c, seen)
	}
	if a := s.events("/stream/logs?n=2").next(); a.id != seen[2].id {
		t.Errorf("the last but one is %v", a)
	}
	if a := s.events("/stream/logs").next(); !strings.Contains(a.data, "main_started") {
		t.Errorf("of the last hundred the first is %v", a)
	}
}

func TestLogStreamOfAnotherLife(t *testing.T) {
	s := newSite(t)
	stream := s.events("/stream/logs", "Last-Event-ID: 1000000")
	id := s.submit(echo)[0]
	if v := stream.next(); !strings.Contains(v.data, id[1:]) {
		t.Error(v)
	}
}

func TestLogStreamFilters(t *testing.T) {
	s := newSite(t)
	loud, ours := s.events("/stream/logs?level=warning"), s.events("/stream/logs?device=pixel-3a")
	worker := startWorker(t, s.data, "pixel-3a")
	if v := ours.next(); !strings.Contains(v.data, `"device_joined"`) {
		t.Error(v)
	}
	s.finished(s.submit(echo)[0])
	worker.stop()
	if v := loud.next(); !strings.Contains(v.data, `"level":"warning"`) {
		t.Error(v)
	}
}

func TestBadLastEventID(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/stream/logs", "/stream/devices"} {
		if got := s.get(path, "Last-Event-ID: x"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "Last-Event-ID") {
			t.Error(got)
		}
	}
}

func TestDeviceStream(t *testing.T) {
	s := newSite(t)
	stream := s.events("/stream/devices")
	if v := stream.next(); v.name != "devices" || v.data != `{"devices":[]}` || v.id == "" {
		t.Error(v)
	}
	startWorker(t, s.data, "pixel-3a")
	v := stream.until(`"status":"online"`)
	if v.name != "device" || !strings.HasPrefix(v.data, `{"device_id":"pixel-3a"`) {
		t.Error(v)
	}
	if err := s.client().Drain(t.Context(), "pixel-3a", 0); err != nil {
		t.Fatal(err)
	}
	stream.until(`"status":"draining"`)
	again := s.events("/stream/devices", "Last-Event-ID: "+v.id).next()
	if again.name != "devices" || !strings.Contains(again.data, `"draining"`) {
		t.Error(again)
	}
	if err := s.client().Remove(t.Context(), "pixel-3a"); err != nil {
		t.Fatal(err)
	}
	for v.name != "removed" {
		v = stream.next()
	}
	if v.data != `{"device_id":"pixel-3a"}` {
		t.Error(v)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	s := newSite(t)
	for range maxStreams {
		s.web.streams <- struct{}{}
	}
	got := s.get("/stream/logs")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Error(got)
	}
	<-s.web.streams
	s.events("/stream/logs").next()
	for range maxStreams - 1 {
		<-s.web.streams
	}
}

func TestHeadOfAStream(t *testing.T) {
	s := newSite(t)
	if got := s.do("HEAD", "/stream/logs", ""); got.status != 200 || got.header.Get("Content-Type") != "text/event-stream" {
		t.Error(got)
	}
}

// TestMainNodeMoves is the life of a site whose main node comes late, goes, and comes back at another port.
func TestMainNodeMoves(t *testing.T) {
	data := t.TempDir()
	s := open(t, data)
	down := func() {
		t.Helper()
		if got := s.get("/healthz"); got.status != 503 || got.body == "" {
			t.Error(got)
		}
		if got := s.get("/metrics"); got.status != 200 || !strings.HasSuffix(got.body, "\nretire_cluster_up 0\n") || strings.Count(got.body, "\n") != 3 {
			t.Error(got)
		}
		if got := s.get("/"); got.status != 503 || !strings.Contains(got.body, `role="alert"`) {
			t.Error(got)
		}
		for _, path := range []string{"/text/status", "/text/tasks", "/stream/logs", "/stream/devices", "/stream/tasks", "/stream/all", "/stream/tasks/t00000000/output", "/api/v1/devices", "/text/tasks/t00000000/output"} {
			if got := s.get(path); got.status != 503 || got.header.Get("Retry-After") != "2" {
				t.Errorf("%s: %v", path, got)
			}
		}
	}
	down()
	first := startMain(t, data)
	if got := s.get("/healthz"); got.status != 200 || got.body != "ok\n" {
		t.Error(got)
	}
	auth := "Authorization: Bearer " + s.token(wire.RoleSubmit)
	logs, devices, all := s.events("/stream/logs"), s.events("/stream/devices"), s.events("/stream/all")
	logs.until("main node started")
	devices.next()
	first.stop()
	for devices.next().name != "away" {
	}
	down()
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, auth, asJSON); got.status != 503 || !strings.Contains(got.body, "E_UNREACHABLE") {
		t.Error(got)
	}
	startMain(t, data)
	if got := s.get("/healthz"); got.status != 200 {
		t.Error(got)
	}
	if got := s.do("POST", "/api/v1/tasks", `{"task_type":"echo"}`, auth, asJSON); got.status != 201 {
		t.Error(got)
	}
	logs.until("main node started")
	logs.until("job_submitted")
	for devices.next().name != "devices" {
	}
	for want := []string{"away", "devices", "job"}; len(want) > 0; {
		if all.next().name == want[0] {
			want = want[1:]
		}
	}
}
