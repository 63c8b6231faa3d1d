package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func TestAccepted(t *testing.T) {
	for _, c := range []struct {
		accept string
		want   text.Format
		doc    bool
		status int
	}{
		{"", text.Text, false, 200},
		{"*/*", text.Text, false, 200},
		{"text/*", text.Text, false, 200},
		{"text/plain", text.Text, false, 200},
		{"text/csv", text.CSV, false, 200},
		{"TEXT/CSV; charset=utf-8", text.CSV, false, 200},
		{"text/tab-separated-values", text.TSV, false, 200},
		{"application/json", text.JSON, true, 200},
		{"application/*", text.JSON, true, 200},
		{"application/x-ndjson", text.JSON, false, 200},
		{"text/html,application/xhtml+xml,*/*;q=0.8", text.Text, false, 200},
		{"text/plain;q=0.5, text/csv;q=0.6", text.CSV, false, 200},
		{"text/plain;q=0, text/*", text.CSV, false, 200},
		{"text/*;q=0.3, text/csv;q=0.1, application/json;q=0.2", text.Text, false, 200},
		{"image/png, text/tab-separated-values;q=0.1", text.TSV, false, 200},
		{"image/png", "", false, 406},
		{"text/plain;q=0", "", false, 406},
		{"*/*;q=0", "", false, 406},
		{"text/csv;q=2, text/plain", text.Text, false, 200}, // there is no such quality
		{"nonsense", text.Text, false, 200},
	} {
		got, err := accepted([]string{c.accept})
		if c.status != 200 {
			if problem, _ := refusalOf(err); err == nil || problem.status != c.status {
				t.Errorf("%q: %v, want status %d", c.accept, err, c.status)
			}
			continue
		}
		if err != nil || got.format != c.want || got.document != c.doc {
			t.Errorf("%q: %+v, %v; want %s", c.accept, got, err, c.want)
		}
	}
}

// printed is what a command prints.
func printed(t *testing.T, f text.Format, print func(p *text.Printer) error) string {
	t.Helper()
	var b bytes.Buffer
	p := text.NewPrinter(&b, f, text.Style{Width: -1})
	if err := print(p); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextIsThePrinters(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	logs := s.events("/stream/logs")
	logs.until("pixel-3a is online")
	s.finished(s.submit(echo)[0])
	c := s.client()
	devices, err := c.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := collect(c.Tasks(t.Context(), wire.ListTasks{}))
	if err != nil {
		t.Fatal(err)
	}
	log, err := collect(c.Events(t.Context(), wire.FollowEvents{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []text.Format{text.Text, text.CSV, text.TSV, text.JSON} {
		for path, want := range map[string]string{
			"/text/devices": printed(t, f, func(p *text.Printer) error { return p.Devices(devices) }),
			"/text/tasks":   printed(t, f, func(p *text.Printer) error { return p.Tasks(tasks) }),
			"/text/logs": printed(t, f, func(p *text.Printer) error {
				for _, e := range log {
					if err := p.Events([]cluster.Event{e.Event}); err != nil {
						return err
					}
				}
				return nil
			}),
		} {
			got := s.get(path + "?format=" + string(f))
			if got.status != 200 || path != "/text/devices" && got.body != want || got.header.Get("Content-Type") != f.ContentType() {
				t.Errorf("%s %s: %d %s\n%s\nwant\n%s", path, f, got.status, got.header.Get("Content-Type"), got.body, want)
			}
			if path == "/text/devices" && f == text.Text && !strings.HasPrefix(got.body, "pixel-3a|online|") {
				t.Errorf("%s: %q", path, got.body)
			}
		}
	}
}

func TestDevicesAreThePrinters(t *testing.T) {
	s := newSite(t)
	stream := s.events("/stream/devices")
	worker := startWorker(t, s.data, "pixel-3a")
	s.finished(s.submit(echo)[0])
	worker.stop() // what does not work does not change either
	stream.until(`"status":"offline"`)
	devices, err := s.client().Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []text.Format{text.Text, text.CSV, text.TSV, text.JSON} {
		want := printed(t, f, func(p *text.Printer) error { return p.Devices(devices) })
		if got := s.get("/text/devices?format=" + string(f)); got.body != want || want == "" {
			t.Errorf("%s: %q, want %q", f, got.body, want)
		}
	}
	for query, want := range map[string]int{"status=online": 0, "status=offline": 1, "status=online,offline": 1, "status=online&status=offline": 1, "role=nobody": 0} {
		if got := strings.Count(s.get("/text/devices?"+query).body, "\n"); got != want {
			t.Errorf("%s: %d devices, want %d", query, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	s := newSite(t)
	for n := range 3 {
		var doc struct {
			Status string
			Data   struct{ Tasks []task.Task }
		}
		got := s.get("/text/tasks", "Accept: application/json")
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil || doc.Status != "success" || len(doc.Data.Tasks) != n {
			t.Errorf("%d tasks: %v\n%s", n, err, got.body)
		}
		if ct := got.header.Get("Content-Type"); ct != "application/json" {
			t.Error(ct)
		}
		s.submit(echo)
	}
	var doc struct{ Data cluster.Status }
	got := s.get("/text/status", "Accept: application/json")
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || doc.Data.TasksQueued != 3 {
		t.Errorf("%v\n%s", err, got.body)
	}
}

func TestParameters(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]string{
		"/text/devices?stauts=online":      `unknown parameter "stauts": possible are status, role, platform, tag, `,
		"/text/devices?status=up":          `unknown status "up": one of online, draining, paused, pending, offline`,
		"/text/devices?role=a%20b":         `role="a b": letters, digits`,
		"/text/devices?format=xml":         `unknown format "xml": one of text, csv, tsv, json`,
		"/text/devices?format=table":       `unknown format "table"`,
		"/text/devices?format=csv&format=": `format is given 2 times`,
		"/text/tasks?state=done":           `unknown state "done": one of queued`,
		"/text/tasks?job=j1":               `job="j1": not a task or job id`,
		"/text/tasks?n=0":                  `n="0": a number between 1 and`,
		"/text/logs?n=many":                `n="many": a number between 1 and`,
		"/text/logs?level=loud":            `unknown level "loud": one of debug, info, warning, error`,
		"/text/status?x=%1b[31m":           `unknown parameter "x"`,
		"/text/status?%zz":                 `the parameters after ? cannot be read`,
		"/text/metrics?format=csv":         `unknown format "csv"`,
		"/healthz?x=1":                     `unknown parameter "x": none is possible here`,
		"/stream/logs?n=-1":                `n="-1": a number between 0 and`,
		"/api/v1/tasks?after=t1":           `after=\"t1\": not a task or job id`,
		"/api/v1/tasks?limit=100000":       `limit=\"100000\": a number between 1 and 1000`,
	} {
		got := s.get(path)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, want) || strings.Count(got.body, "\n") != 1 {
			t.Errorf("%s: %d %q, want %q", path, got.status, got.body, want)
		}
	}
}

func TestLogsLast(t *testing.T) {
	s := newSite(t)
	s.submit(echo)
	s.submit(echo)
	if got := s.get("/text/logs?n=1").body; strings.Count(got, "\n") != 1 || !strings.Contains(got, "INFO: job j") {
		t.Error(got)
	}
	if got := s.get("/text/logs?level=warning").body; got != "" {
		t.Error(got)
	}
	if got := s.get("/text/logs?device=nobody").body; got != "" {
		t.Error(got)
	}
}
