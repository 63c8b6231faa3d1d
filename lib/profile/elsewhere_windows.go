package profile

import (
	"context"
	"strings"
	"unsafe"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func uname() string { return "" }

func (m *machine) model(context.Context) string {
	return word(`HARDWARE\DESCRIPTION\System\BIOS`, "SystemProductName")
}

// cpuModel asks the registry: gopsutil would ask WMI, which takes seconds.
func (m *machine) cpuModel(context.Context) string {
	return word(`HARDWARE\DESCRIPTION\System\CentralProcessor\0`, "ProcessorNameString")
}

// word returns a text in the registry; empty if it is not there.
func word(path, name string) string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer k.Close()
	s, _, _ := k.GetStringValue(name)
	return strings.TrimSpace(s)
}

func (m *machine) role(ctx context.Context) string {
	switch {
	case m.power().percent != nil:
		return "laptop"
	case strings.Contains(m.osName(ctx), "Server"):
		return "server"
	}
	return "desktop"
}

func (m *machine) memory(ctx context.Context) (total, available int64) {
	v, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil || v == nil {
		return 0, 0
	}
	return int64(v.Total), int64(v.Available)
}

func (m *machine) cpuTimes(ctx context.Context) cpuTimes {
	all, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return cpuTimes{}
	}
	busy := all[0].User + all[0].System
	return cpuTimes{busy: busy, total: busy + all[0].Idle}
}

// load: Windows has none.
func (m *machine) load(context.Context) []float64 { return nil }

func (m *machine) diskBytes(ctx context.Context) (read, written int64, ok bool) {
	all, err := disk.IOCountersWithContext(ctx)
	for _, c := range all {
		read, written = read+int64(c.ReadBytes), written+int64(c.WriteBytes)
	}
	return read, written, err == nil && len(all) > 0
}

func (m *machine) netBytes(ctx context.Context) (received, sent int64, ok bool) {
	all, err := net.IOCountersWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return 0, 0, false
	}
	return int64(all[0].BytesRecv), int64(all[0].BytesSent), true
}

var powerStatus = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemPowerStatus")

// power asks for SYSTEM_POWER_STATUS, in which 255 is "unknown" and bit 128 of the flags "no battery".
func (m *machine) power() power {
	var s struct {
		AC, Flags, Percent, Saver byte
		Left, Full                uint32
	}
	if powerStatus.Find() != nil {
		return power{}
	}
	ok, _, _ := powerStatus.Call(uintptr(unsafe.Pointer(&s)))
	if ok == 0 || s.Flags&128 != 0 || s.Percent > 100 {
		return power{}
	}
	p := power{percent: new(float64(s.Percent))}
	if s.AC <= 1 {
		p.charging = new(s.AC == 1)
	}
	return p
}
