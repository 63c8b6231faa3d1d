package web

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	s.finished(s.submit(echo)[0])
	problems, err := testutil.GatherAndLint(metricsOf(t.Context(), s.web.main))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	got := s.get("/metrics").body
	for _, want := range []string{
		"retire_cluster_up 1\n",
		"retire_cluster_tasks_submitted_total 1\n",
		"retire_cluster_attempts_assigned_total 1\n",
		`retire_cluster_tasks_ended_total{state="completed"} 1` + "\n",
		`retire_cluster_tasks{state="completed"} 1` + "\n",
		`retire_cluster_queue_tasks{priority="urgent"} 0` + "\n",
		`retire_cluster_devices{status="online"} 1` + "\n",
		`retire_cluster_devices{status="offline"} 0` + "\n",
		`retire_cluster_device_up{device="pixel-3a"} 1` + "\n",
		`retire_cluster_device_slots{device="pixel-3a"} 1` + "\n",
		`retire_cluster_device_tasks_ended_total{device="pixel-3a",state="completed"} 1` + "\n",
		"retire_cluster_start_time_seconds 1.",
		`retire_cluster_device_last_heartbeat_timestamp_seconds{device="pixel-3a"} 1.`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if text := s.get("/text/metrics", "Accept: application/json"); text.status != 200 || !strings.HasPrefix(text.header.Get("Content-Type"), "text/plain") {
		t.Error(text)
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(got)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
}
