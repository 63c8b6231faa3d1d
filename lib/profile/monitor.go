package profile

import (
	"context"
	"math"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// Monitor reads how this machine is. It writes nothing, and starts no programs but the one that tells of a phone's battery, so that a phone can call it every
// minute. It may be used by several goroutines; they share one "since the last call".
type Monitor struct {
	m       *machine
	workDir string
	mu      sync.Mutex
	last    cpuTimes
	termux  *termuxBattery // nil: the system itself tells
}

// cpuTimes is what all cores did since boot; only differences mean something. All zero: not known.
type cpuTimes struct{ busy, total float64 }

// NewMonitor begins to watch: the first Metrics tells the CPU's use since now.
func NewMonitor(o Options) *Monitor {
	m := newMachine(o.Roots)
	w := &Monitor{m: m, workDir: o.WorkDir, last: m.cpuTimes(context.Background())}
	if m.android {
		w.termux = newTermuxBattery(m.termuxProgram("termux-battery-status"))
		w.termux.power() // so that it is known soon
	}
	return w
}

// Metrics returns all that can be read now.
func (m *Monitor) Metrics(ctx context.Context) device.Metrics {
	d := device.Metrics{CPU: m.cpu(ctx), Load: m.m.load(ctx)}
	m.sizes(ctx, &d)
	m.traffic(ctx, &d)
	if t := m.m.uptime(ctx); t > 0 {
		d.Uptime = &t
	}
	m.strain(&d)
	return d
}

// Strain returns what tells how much a device has to bear: load, temperatures, battery. It costs little, and may be called every few seconds.
func (m *Monitor) Strain(ctx context.Context) device.Metrics {
	d := device.Metrics{Load: m.m.load(ctx)}
	m.strain(&d)
	return d
}

func (m *Monitor) strain(d *device.Metrics) {
	p := m.m.power()
	if p.percent == nil {
		p = m.termux.power()
	}
	d.Battery, d.Charging, d.BatteryHeat, d.Power = p.percent, p.charging, p.temperature, p.watts
	d.Temperature = m.m.temperature()
	if d.Temperature == nil {
		d.Temperature = p.temperature
	}
}

func (m *Monitor) cpu(ctx context.Context) *float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.m.cpuTimes(ctx)
	used := now.since(m.last)
	m.last = now
	return used
}

// since returns the percent of the time between two readings that was busy; nil if either is missing, or if they
// are too close for the kernel's clock.
func (t cpuTimes) since(last cpuTimes) *float64 {
	if last.total <= 0 || t.total <= last.total {
		return nil
	}
	return percentOf(t.busy-last.busy, t.total-last.total)
}

func (m *Monitor) sizes(ctx context.Context, d *device.Metrics) {
	if total, free := m.m.memory(ctx); total > 0 && free >= 0 {
		d.Memory, d.MemoryFree = percentOf(float64(total-free), float64(total)), &free
	}
	if size, free, percent := usage(ctx, m.workDir); size > 0 {
		d.Disk, d.DiskFree = percent, &free
	}
}

func (m *Monitor) traffic(ctx context.Context, d *device.Metrics) {
	if r, w, ok := m.m.diskBytes(ctx); ok {
		d.DiskRead, d.DiskWritten = &r, &w
	}
	if r, s, ok := m.m.netBytes(ctx); ok {
		d.Received, d.Sent = &r, &s
	}
}

// percentOf returns 0 to 100 with one decimal; nil if there is no whole.
func percentOf(part, whole float64) *float64 {
	if whole <= 0 {
		return nil
	}
	return new(math.Round(min(max(part/whole, 0), 1)*1000) / 10)
}

// power is the state of the batteries and of the mains. A nil is "not known".
type power struct {
	percent     *float64
	charging    *bool
	temperature *float64
	watts       *float64 // that the battery gives
}
