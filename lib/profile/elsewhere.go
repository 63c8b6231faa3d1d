//go:build !linux

package profile

import (
	"context"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
)

// What Windows and macOS tell alike. What is not known there: the temperature, the GPU.

func (m *machine) hostname() string {
	name, _ := os.Hostname()
	return name
}

func (m *machine) osName(ctx context.Context) string {
	name, _, version, _ := host.PlatformInformationWithContext(ctx)
	if name == "darwin" {
		name = "macOS"
	}
	return strings.TrimSpace(name + " " + version)
}

func (m *machine) kernel(ctx context.Context) string {
	v, _ := host.KernelVersionWithContext(ctx)
	return v
}

func (m *machine) cores() int { return runtime.NumCPU() }

func (m *machine) interfaces() []string { return upInterfaces() }

func (m *machine) gpu() string { return "" }

func (m *machine) temperature() *float64 { return nil }

func (m *machine) uptime(ctx context.Context) int64 {
	t, _ := host.UptimeWithContext(ctx)
	return int64(t)
}

func usage(ctx context.Context, dir string) (size, free int64, percent *float64) {
	u, err := disk.UsageWithContext(ctx, standing(dir))
	if err != nil || u == nil {
		return 0, 0, nil
	}
	return int64(u.Total), int64(u.Free), percentOf(u.UsedPercent, 100)
}

func (m *machine) addresses() (macs []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && len(i.HardwareAddr) == 6 && len(macs) < mostAddresses {
			macs = append(macs, i.HardwareAddr.String())
		}
	}
	return macs
}

func (m *machine) coreSpeeds() []int { return nil }

func (m *machine) virtual() string { return "" }

func (m *machine) network() string { return "" }

func (m *machine) diskKind(string) string { return "" }
