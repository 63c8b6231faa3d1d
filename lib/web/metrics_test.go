package web

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/retire-cluster/retire-cluster/lib/device"
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
		`retire_cluster_task_run_duration_seconds_count{task_type="echo"} 1` + "\n",
		`retire_cluster_task_wait_duration_seconds_bucket{task_type="echo",le="+Inf"} 1` + "\n",
		"\nretire_cluster_commit_duration_seconds_bucket{le=",
		"\nretire_cluster_batch_messages_sum ",
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

// TestNamesOfMetrics: what the alert rules and the dashboard ask for is there.
func TestNamesOfMetrics(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	s.finished(s.submit(echo)[0])
	there := map[string]bool{}
	for line := range strings.Lines(s.get("/metrics").body + everythingMeasured(t)) {
		there[metricName.FindString(line)] = true
	}
	if len(there) < 50 {
		t.Fatalf("only %d metrics", len(there))
	}
	for _, file := range []string{"../../contrib/prometheus/retire-cluster.rules.yml", "../../contrib/grafana/retire-cluster.json"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := metricName.FindAllString(string(b), -1)
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s asks for %s, which is not there", file, name)
			}
		}
		if len(names) < 10 {
			t.Errorf("%s asks for %d metrics only", file, len(names))
		}
	}
}

var metricName = regexp.MustCompile(`\bretire_cluster_[a-z0-9_]+`)

// everythingMeasured is what is shown of a device that has all that one can have: this machine may lack a battery.
func everythingMeasured(t *testing.T) string {
	t.Helper()
	some, many, yes := 1.0, int64(1), true
	m := &device.Metrics{CPU: &some, Memory: &some, Disk: &some, Temperature: &some, Battery: &some, Charging: &yes, Received: &many, Sent: &many,
		DiskRead: &many, DiskWritten: &many, Load: []float64{1}}
	all := prometheus.NewRegistry()
	all.MustRegister(measuredOnce{m})
	families, err := all.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	for _, f := range families {
		names.WriteString(f.GetName() + "\n")
	}
	return names.String()
}

type measuredOnce struct{ metrics *device.Metrics }

func (measuredOnce) Describe(chan<- *prometheus.Desc) {}

func (m measuredOnce) Collect(ch chan<- prometheus.Metric) {
	values(ch).measured("pixel-3a", m.metrics)
}

// TestQueriesOfTheDashboard has promtool read each query as if it were a rule.
func TestQueriesOfTheDashboard(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here")
	}
	b, err := os.ReadFile("../../contrib/grafana/retire-cluster.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for i, p := range board.Panels {
		for j, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$device", ".*").Replace(q.Expr)
			quoted, _ := json.Marshal(expr)
			rules += fmt.Sprintf("  - record: panel_%d_%d\n    expr: %s\n", i, j, quoted)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil || len(board.Panels) < 20 {
		t.Errorf("%v: %s", err, out)
	}
}
