package text

import (
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
)

// TestLegacyStatus holds the lines that the scripts of the first Retire-Cluster read.
func TestLegacyStatus(t *testing.T) {
	got := printed(t, Text, Style{}, func(p *Printer) error { return p.Status(someStatus()) })
	want := "STATUS: healthy\nNODES: 5/7 online\nCPU: 48 cores (37% utilized)\nMEMORY: 128GB (42% used)\n" +
		"TASKS: 12 active, 45 completed today\nUPTIME: 15d 6h 42m\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
	got = printed(t, Text, Style{}, func(p *Printer) error { return p.Status(cluster.Status{Health: cluster.Empty}) })
	want = "STATUS: empty\nNODES: 0/0 online\nCPU: 0 cores (0% utilized)\nMEMORY: 0GB (0% used)\n" +
		"TASKS: 0 active, 0 completed today\nUPTIME: 0m\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
}

// TestLegacyDevices holds the first five fields of /text/devices.
func TestLegacyDevices(t *testing.T) {
	got := printed(t, Text, Style{}, func(p *Printer) error { return p.Devices(someDevices()[:1]) })
	if !strings.HasPrefix(got, "pixel-3a|online|25.5|4.0|2|") {
		t.Error(got)
	}
	got = printed(t, CSV, Style{}, func(p *Printer) error { return p.Devices(nil) })
	if !strings.HasPrefix(got, "id,status,cpu,memory,tasks,") {
		t.Error(got)
	}
}

// TestLegacyLog holds a line of /text/logs.
func TestLegacyLog(t *testing.T) {
	e := cluster.Event{Time: now, Kind: cluster.DeviceOnline, Device: "pixel-3a"}
	if got := (Style{}).logLine(&e); got != "[2024-01-15 10:30:15] INFO: device pixel-3a is online" {
		t.Error(got)
	}
}
