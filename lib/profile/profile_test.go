package profile

import (
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

func TestThisMachine(t *testing.T) {
	p := Read(t.Context(), Options{WorkDir: t.TempDir()})
	if p.Hardware.CPUCores < 1 || p.Hardware.Memory < 1 || p.Hardware.Disk < 1 {
		t.Errorf("got %+v", p.Hardware)
	}
	if p.Info.Platform == "" || p.Info.Architecture == "" || p.Info.Role == "" || p.Info.Hostname == "" {
		t.Errorf("got %+v", p.Info)
	}
	if err := device.CheckName(DefaultName(t.Context(), Options{})); err != nil {
		t.Error(err)
	}
	t.Logf("%+v", p)
}

func TestMetricsOfThisMachine(t *testing.T) {
	d := NewMonitor(Options{}).Metrics(t.Context())
	if d.Disk == nil || *d.Disk < 0 || *d.Disk > 100 || d.Uptime == nil || *d.Uptime < 1 {
		t.Errorf("got %+v", d)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		Read(b.Context(), Options{})
	}
}

func BenchmarkMetrics(b *testing.B) {
	m := NewMonitor(Options{})
	for b.Loop() {
		m.Metrics(b.Context())
	}
}
