package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// script is a task that runs a script.
func script(text string) task.Spec {
	payload, err := json.Marshal(map[string]string{"script": text})
	if err != nil {
		panic(err)
	}
	return task.Spec{Type: task.TypeShell, Payload: payload}
}

// gate is a file that a script waits for.
type gate string

func newGate(t *testing.T) gate { return gate(filepath.Join(t.TempDir(), "go")) }

func (g gate) wait() string { return "until [ -e " + string(g) + " ]; do sleep 0.05; done" }

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(string(g), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// heard puts together what events of output say.
type heard struct {
	bytes []byte
	last  string // id
	end   string // data of the event that is the last
}

// add takes one event, and says whether it was the last.
func (h *heard) add(t *testing.T, v event) bool {
	t.Helper()
	h.last = v.id
	if v.name == "end" {
		h.end = v.data
		return true
	}
	var p struct {
		Attempt  int
		Stream   string
		Position int64
		Data     string
		Base64   []byte `json:"data_base64"`
	}
	if err := json.Unmarshal([]byte(v.data), &p); err != nil || v.name != "output" || p.Position != int64(len(h.bytes)) {
		t.Fatalf("%+v after %d bytes: %v", v, len(h.bytes), err)
	}
	h.bytes = append(append(h.bytes, p.Data...), p.Base64...)
	if want := fmt.Sprintf("%d:%d", p.Attempt, len(h.bytes)); v.id != want {
		t.Fatalf("the id is %s, not %s", v.id, want)
	}
	return false
}

// TestOutputStream follows a task while it runs, is cut off, and goes on where it was; then it follows what has ended.
func TestOutputStream(t *testing.T) {
	for _, private := range []bool{false, true} {
		s := newSite(t)
		startWorker(t, s.data, "pixel-3a")
		header := "X: y"
		if private {
			header = "Authorization: Bearer " + s.token(wire.RoleAdmin)
		}
		early, g := newGate(t), newGate(t)
		id := s.submit(script("printf 'one\\377'; " + early.wait() + "; echo two >&2; " + g.wait() + "; echo three"))[0]
		path := "/stream/tasks/" + id + "/output"
		var h heard
		first := s.events(path, header)
		for len(h.bytes) < len("one_two\n") {
			h.add(t, first.next())
			early.open(t)
		}
		first.close()
		again := s.events(path, header, "Last-Event-ID: "+h.last)
		g.open(t)
		for !h.add(t, again.next()) {
		}
		if string(h.bytes) != "one\xfftwo\nthree\n" || !strings.Contains(h.end, `"state":"completed","exit_code":0`) {
			t.Errorf("%q, %s", h.bytes, h.end)
		}
		if got := s.get(path, header, "Last-Event-ID: "+h.last); got.status != http.StatusNoContent {
			t.Errorf("who has heard the end: %v", got)
		}
		var whole heard
		for ended := s.events(path, header); !whole.add(t, ended.next()); {
		}
		if string(whole.bytes) != string(h.bytes) {
			t.Errorf("%q", whole.bytes)
		}
		for query, want := range map[string]string{"": "one\xfftwo\nthree\n", "&stream=stderr": "two\n", "&from=1:4": "two\nthree\n", "&from=8&stream=stdout": "three\n", "&from=7:2": "one\xfftwo\nthree\n", "&attempt=1": "one\xfftwo\nthree\n"} {
			if got := s.get(path+"?format=raw"+query, header); got.status != 200 || got.body != want || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: %v", query, got)
			}
		}
		if got := s.get(path, header, "Accept: text/plain"); got.body != string(h.bytes) {
			t.Error(got)
		}
	}
}

func TestOutputStreamRefuses(t *testing.T) {
	s := newSite(t)
	id := s.submit(echo)[0]
	for query, want := range map[string]int{id + "/output?from=x": 400, id + "/output?from=1:-1": 400, id + "/output?format=csv": 400, id + "/output?stream=both": 400, id + "/output?attempt=1": 400, "t00000000/output": 404} {
		if got := s.get("/stream/tasks/" + query); got.status != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got := s.get("/stream/tasks/"+id+"/output", "Authorization: Bearer "+s.token(wire.RoleSubmit)); got.status != 404 {
		t.Errorf("of somebody else: %v", got)
	}
}

// TestOutputOfManyAttempts: a task that is tried again begins anew, with the number of its attempt.
func TestOutputOfManyAttempts(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	g := newGate(t)
	spec := script("echo again; " + g.wait() + "; exit 1")
	spec.Retries, spec.Backoff = 1, 0.1
	id := s.submit(spec)[0]
	stream := s.events("/stream/tasks/" + id + "/output")
	v := stream.next()
	if v.id != "1:6" {
		t.Error(v)
	}
	g.open(t)
	if v := stream.next(); v.id != "2:6" || !strings.Contains(v.data, `"attempt":2,"stream":"stdout","position":0,"data":"again\n"`) {
		t.Error(v)
	}
	if v := stream.next(); v.name != "end" || !strings.Contains(v.data, `"state":"failed","exit_code":1`) {
		t.Error(v)
	}
	if v := s.events("/stream/tasks/"+id+"/output", "Last-Event-ID: 1:6").next(); v.id != "2:6" {
		t.Errorf("after the first attempt: %v", v)
	}
}

// TestEndOfAValue: its newline comes once, also to who breaks off before it.
func TestEndOfAValue(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	id := s.submit(echo)[0]
	s.finished(id)
	for query, want := range map[string]string{"": "hello\n", "&from=1:2": "llo\n", "&from=1:5": "\n", "&from=1:6": "", "&stream=stderr": "", "&stream=stdout": "hello\n"} {
		if got := s.get("/stream/tasks/" + id + "/output?format=raw" + query); got.body != want {
			t.Errorf("%s: %q", query, got.body)
		}
	}
}

// unbuffered is an answer that takes deadlines.
type unbuffered struct {
	*httptest.ResponseRecorder
}

func (unbuffered) SetWriteDeadline(time.Time) error { return nil }
func (unbuffered) FlushError() error                { return nil }

// TestGap: who has seen what is of another life of the main node, or what is kept no more, is told so.
func TestGap(t *testing.T) {
	w := unbuffered{httptest.NewRecorder()}
	st := &stream{w: w, control: http.NewResponseController(w), ctx: t.Context()}
	r := &reader{telling: &telling{stream: st, seen: &wire.FollowEvents{After: 15}}}
	if again, err := r.tell(&news{resets: 1, newest: 12}); !again || err != nil || r.seen.After != 12 {
		t.Errorf("%v, %v, after %d", again, err, r.seen.After)
	}
	if got := w.Body.String(); got != "id: 12\nevent: gap\ndata: {\"after\":12,\"to\":12}\n\n" {
		t.Errorf("%q", got)
	}
	s := newSite(t)
	if first, err := firstOf(t.Context(), s.client(), wire.FollowEvents{}); first != 1 || err != nil {
		t.Errorf("%d, %v", first, err)
	}
	if first, err := firstOf(t.Context(), s.client(), wire.FollowEvents{After: 1 << 40}); first != 0 || err != nil {
		t.Errorf("%d, %v", first, err)
	}
}

// TestManyFollowOneOutput: however many follow, the main node is asked once.
func TestManyFollowOneOutput(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	g := newGate(t)
	const size = 3 << 20 // more than is kept
	id := s.submit(script(fmt.Sprintf("echo begun; %s; head -c %d /dev/zero | tr '\\0' x", g.wait(), size)))[0]
	const many = 30
	var readers []io.Reader
	for range many {
		resp, err := s.http.Do(s.request("GET", "/stream/tasks/"+id+"/output?format=raw", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, len("begun\n"))); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, resp.Body)
	}
	m, err := s.client().Metrics(t.Context())
	if err != nil || m.Sessions > 25 {
		t.Errorf("%d sessions: %v", m.Sessions, err)
	}
	t.Logf("%d sessions for %d readers", m.Sessions, many)
	g.open(t)
	for i, r := range readers {
		if n, err := io.Copy(io.Discard, r); n != size || err != nil {
			t.Errorf("reader %d: %d bytes, %v", i, n, err)
		}
	}
	s.web.reels.mu.Lock()
	defer s.web.reels.mu.Unlock()
	if n := len(s.web.reels.byTask); n > 1 {
		t.Errorf("%d reels are kept", n)
	}
}

// TestManyFollowAll: a hundred open pages are one subscription of the main node.
func TestManyFollowAll(t *testing.T) {
	s := newSite(t)
	var open []*events
	for range 100 {
		open = append(open, s.events("/stream/all"))
	}
	id := s.submit(echo)[0]
	for _, o := range open {
		for o.next().name != "job" {
		}
	}
	m, err := s.client().Metrics(t.Context())
	if err != nil || m.Sessions > 5 { // rc-web's for questions and for events, and two of this test
		t.Errorf("%d sessions, %v", m.Sessions, err)
	}
	if got := s.get("/api/v1/tasks/" + id); got.status != 200 {
		t.Error(got)
	}
}

// TestTaskStream: each state that a task moves to, filtered, and from where one was.
func TestTaskStream(t *testing.T) {
	s := newSite(t)
	stream := s.events("/stream/tasks")
	ended := s.events("/stream/tasks?state=completed,failed")
	id := s.submit(echo)[0]
	if v := stream.next(); v.name != "job" || !strings.Contains(v.data, `"count":1,"state":"queued"`) {
		t.Error(v)
	}
	startWorker(t, s.data, "pixel-3a")
	running := stream.next()
	if running.name != "task" || !strings.Contains(running.data, `"task_id":"`+id+`"`) || !strings.Contains(running.data, `"state":"running","device_id":"pixel-3a","attempt":1`) {
		t.Error(running)
	}
	last := stream.next()
	if v := ended.next(); v != last || !strings.Contains(v.data, `"state":"completed"`) {
		t.Errorf("%v, %v", v, last)
	}
	for path, header := range map[string]string{"/stream/tasks": "Last-Event-ID: " + running.id, "/stream/tasks?after=" + running.id: "X: y"} {
		if v := s.events(path, header).next(); v != last {
			t.Errorf("%s, %s: %v", path, header, v)
		}
	}
	other := s.events("/stream/tasks?device=elsewhere")
	mine := s.events("/stream/tasks?after=0&job="+jobOf(t, s, id), "Authorization: Bearer "+s.token(wire.RoleAdmin))
	if v := mine.next(); v.name != "job" {
		t.Error(v)
	}
	other.close()
}

func jobOf(t *testing.T, s *site, id string) string {
	t.Helper()
	shown, err := s.client().Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return shown.Job.String()
}

// TestStreamOfAll: one connection tells of devices, the log and tasks.
func TestStreamOfAll(t *testing.T) {
	s := newSite(t)
	for _, header := range []string{"X: y", "Authorization: Bearer " + s.token(wire.RoleAdmin)} {
		stream := s.events("/stream/all", header)
		id := s.submit(echo)[0]
		want := map[string]bool{"devices": true, "status": true, "log": true, "job": true, "task": true, "device": true}
		if !strings.HasPrefix(header, "X") {
			delete(want, "device")
		} else {
			startWorker(t, s.data, "pixel-3a")
		}
		last := ""
		for len(want) > 0 {
			v := stream.next()
			delete(want, v.name)
			switch v.name {
			case "task":
				if !strings.Contains(v.data, id) {
					t.Error(v)
				}
				last = v.id
			case "device", "status":
				if last != "" && v.id != "" && v.id != last {
					t.Errorf("%v would be gone on after, not %s", v, last)
				}
			}
		}
		again := s.events("/stream/all", header, "Last-Event-ID: "+last)
		s.submit(echo)
		again.until("job_submitted")
	}
}
