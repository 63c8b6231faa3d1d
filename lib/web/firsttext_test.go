package web

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// What the scripts of the first Retire-Cluster's users expect. They cut fields off the left, so more may stand behind.

func working(t *testing.T) *site {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	s.events("/stream/devices").until(`"cpu_usage":`)
	s.finished(s.submit(echo)[0])
	return s
}

func TestFirstVersionDevices(t *testing.T) {
	s := working(t)
	line := regexp.MustCompile(`\Apixel-3a\|online\|\d{1,3}(\.\d+)?\|\d+(\.\d+)?\|0(\|[^\n]*)?\n\z`) // CPU in percent, memory in GB, and no header
	if got := s.get("/text/devices?status=online"); !line.MatchString(got.body) {
		t.Errorf("%q", got.body)
	}
	if got := s.get("/text/devices?status=offline"); got.status != 200 || got.body != "" {
		t.Error(got)
	}
	for format, comma := range map[string]rune{"csv": ',', "tsv": '\t'} {
		rows := csv.NewReader(strings.NewReader(s.get("/text/devices?format=" + format).body))
		rows.Comma = comma
		all, err := rows.ReadAll()
		if err != nil || len(all) != 2 || strings.Join(all[0][:5], ",") != "id,status,cpu,memory,tasks" || all[1][0] != "pixel-3a" {
			t.Errorf("%s: %v, %v", format, all, err)
		}
	}
	// Those who want exactly the five get them.
	if got := s.get("/text/devices?format=csv&columns=id,status,cpu,memory,tasks"); !regexp.MustCompile(`\Aid,status,cpu,memory,tasks\npixel-3a,online,[\d.]+,[\d.]+,0\n\z`).MatchString(got.body) {
		t.Errorf("%q", got.body)
	}
}

func TestFirstVersionStatus(t *testing.T) {
	s := working(t)
	want := regexp.MustCompile(`\ASTATUS: healthy
NODES: 1/1 online
CPU: \d+ cores \(\d+% utilized\)
MEMORY: \d+GB \(\d+% used\)
TASKS: 0 active, 1 completed today
UPTIME: (\d+d )?(\d+h )?\d+m
`)
	if got := s.get("/text/status"); !want.MatchString(got.body) {
		t.Errorf("%q", got.body)
	}
}

func TestFirstVersionLogs(t *testing.T) {
	s := working(t)
	line := regexp.MustCompile(`\A\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (DEBUG|INFO|WARNING|ERROR): \S[^\n]*\n\z`)
	n := 0
	for l := range strings.Lines(s.get("/text/logs").body) {
		if n++; !line.MatchString(l) {
			t.Errorf("%q", l)
		}
	}
	if n < 5 || s.get("/text/events").body != s.get("/text/logs").body {
		t.Errorf("%d lines", n)
	}
}

func TestFirstVersionEnvelopes(t *testing.T) {
	s := working(t)
	for path, status := range map[string]string{"/api/v1/devices": "success", "/api/v1/cluster/status": "success", "/api/v1/devices/nobody": "error", "/api/v1/nothing": "error", "/api/v1/tasks?x=1": "error"} {
		var e map[string]any
		if err := json.Unmarshal([]byte(s.get(path).body), &e); err != nil || e["status"] != status {
			t.Errorf("%s: %v, %v", path, e, err)
		}
		_, isData := e["data"].(map[string]any)
		_, isMessage := e["message"].(string)
		_, isCode := e["error_code"].(string)
		if success := status == "success"; isData != success || isMessage == success || isCode == success {
			t.Errorf("%s: %v", path, e)
		}
	}
}

func TestColumns(t *testing.T) {
	s := working(t)
	id := s.submit(task.Spec{Type: task.TypeEcho, Name: "a|b", Requirements: task.Requirements{Role: "nobody"}})[0]
	for path, want := range map[string]string{
		"/text/tasks?state=queued&columns=state,id":                         "queued|" + id + "\n",
		"/text/tasks?state=queued&columns=name":                             "a%7Cb\n",
		"/text/tasks?state=queued&columns=id&columns=name&format=csv":       "id,name\n" + id + ",a|b\n",
		"/text/tasks?state=queued&columns=name,type&format=tsv":             "name\ttype\na|b\techo\n",
		"/text/devices?columns=status,id":                                   "online|pixel-3a\n",
		"/text/status?columns=health,devices_total":                         "healthy|1\n",
		"/text/logs?columns=level,event&n=1":                                "info|job_submitted\n",
		"/text/tasks?state=queued&columns=state&since=2999-01-01T00:00:00Z": "",
		"/text/tasks?state=queued&columns=state&since=1h":                   "queued\n",
	} {
		if got := s.get(path); got.status != 200 || got.body != want {
			t.Errorf("%s: %q, want %q", path, got.body, want)
		}
	}
	for path, want := range map[string]string{
		"/text/devices?columns=ID":           `unknown column "ID": possible are id, status, cpu, memory, tasks`,
		"/text/devices?columns=":             `unknown column ""`,
		"/text/tasks?columns=id,memory":      `unknown column "memory"`,
		"/text/tasks?columns=id&format=json": "columns are of text, csv and tsv",
		"/text/tasks?since=yesterday":        `since="yesterday": as long ago as 90s`,
	} {
		if got := s.get(path); got.status != 400 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := s.get("/text/tasks?columns=id", "Accept: application/json"); got.status != 400 {
		t.Error(fmt.Sprint(got))
	}
}
