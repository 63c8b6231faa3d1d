package profile

import (
	"context"
	"strings"

	"github.com/shirou/gopsutil/v3/load"
	"golang.org/x/sys/unix"
)

// Without cgo macOS tells nothing of CPU times, disk and network traffic and the battery but through programs,
// and a Monitor starts none.

func (m *machine) cpuTimes(context.Context) cpuTimes               { return cpuTimes{} }
func (m *machine) diskBytes(context.Context) (r, w int64, ok bool) { return 0, 0, false }
func (m *machine) netBytes(context.Context) (r, s int64, ok bool)  { return 0, 0, false }
func (m *machine) power() power                                    { return power{} }

func uname() string { return sysctl("hw.machine") }

func (m *machine) model(context.Context) string    { return sysctl("hw.model") }
func (m *machine) cpuModel(context.Context) string { return sysctl("machdep.cpu.brand_string") }

func sysctl(name string) string {
	s, _ := unix.Sysctl(name)
	return strings.TrimSpace(s)
}

func (m *machine) role(ctx context.Context) string {
	switch model := m.model(ctx); {
	case strings.HasPrefix(model, "MacBook"):
		return "laptop"
	case strings.HasPrefix(model, "Xserve"):
		return "server"
	}
	return "desktop" // newer MacBooks are called "Mac14,7" like desktops: their owner can say so
}

// memory takes the kernel's own percentage of what could be freed: gopsutil would run vm_stat each time.
// An available of -1 is "not known".
func (m *machine) memory(context.Context) (total, available int64) {
	size, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0, 0
	}
	level, err := unix.SysctlUint32("kern.memorystatus_level")
	if err != nil || level > 100 {
		return int64(size), -1
	}
	return int64(size), int64(size / 100 * uint64(level))
}

func (m *machine) load(ctx context.Context) []float64 {
	l, err := load.AvgWithContext(ctx)
	if err != nil || l == nil {
		return nil
	}
	return []float64{l.Load1, l.Load5, l.Load15}
}
