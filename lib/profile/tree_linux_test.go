package profile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// plant makes a fake machine of paths and contents and returns the Options that see only it.
func plant(t *testing.T, files map[string]string) Options {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		write(t, filepath.Join(root, path), content)
	}
	t.Setenv("PATH", filepath.Join(root, "bin"))
	return Options{WorkDir: root, Roots: Roots{
		Proc: root + "/proc", Sys: root + "/sys", Etc: root + "/etc", System: root + "/system", Prefix: root + "/usr",
	}}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if show(got) != show(want) {
		t.Errorf("%s: got %s, want %s", what, show(got), show(want))
	}
}

func TestRaspberryPi(t *testing.T) {
	o := plant(t, map[string]string{
		"proc/device-tree/model":                     "Raspberry Pi 4 Model B Rev 1.4\x00",
		"proc/sys/kernel/hostname":                   "pi4.lan\n",
		"proc/sys/kernel/osrelease":                  "6.1.21-v8+\n",
		"proc/cpuinfo":                               "CPU implementer : 0x41\nCPU part : 0xd08\nModel : Raspberry Pi 4\n",
		"proc/meminfo":                               "MemTotal: 3885000 kB\nMemAvailable: 1942500 kB\n",
		"proc/stat":                                  "cpu 100 0 0 900 0\n",
		"proc/loadavg":                               "0.50 0.30 0.20 1/100 1\n",
		"proc/uptime":                                "86400.12 1\n",
		"proc/diskstats":                             "179 0 mmcblk0 1 0 8 0 1 0 4 0\n179 1 mmcblk0p1 1 0 8 0 1 0 4 0\n",
		"proc/net/dev":                               "eth0: 1000 0 0 0 0 0 0 0 500 0\nwg0: 9 0 0 0 0 0 0 0 9 0\n",
		"etc/os-release":                             "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"sys/devices/system/cpu/online":              "0-3\n",
		"sys/block/mmcblk0/size":                     "1",
		"sys/class/net/eth0/flags":                   "0x1003",
		"sys/class/net/eth0/device/uevent":           "",
		"sys/class/net/wlan0/flags":                  "0x1002",
		"sys/class/net/lo/flags":                     "0x9",
		"sys/class/net/bonding_masters":              "",
		"sys/class/drm/renderD128/device/uevent":     "DRIVER=v3d\n",
		"sys/class/thermal/thermal_zone0/temp":       "48312\n",
		"sys/class/thermal/cooling_device0/cur_stat": "0",
		"bin/python3":                                "#!/bin/sh\necho Python 3.11.2\n",
		"bin/git":                                    "#!/bin/sh\n",
		"bin/gcc":                                    "not a program",
	})
	o.Tags = []string{"attic"}
	p := Read(t.Context(), o)
	expect(t, "hostname", p.Info.Hostname, "pi4.lan")
	expect(t, "platform", p.Info.Platform, "linux")
	expect(t, "role", p.Info.Role, "board")
	expect(t, "os", p.Info.OS, "Debian GNU/Linux 12 (bookworm)")
	expect(t, "kernel", p.Info.Kernel, "6.1.21-v8+")
	expect(t, "model", p.Info.Model, "Raspberry Pi 4 Model B Rev 1.4")
	expect(t, "python", p.Info.Python, "3.11.2")
	expect(t, "cores", p.Hardware.CPUCores, 4)
	expect(t, "cpu", p.Hardware.CPUModel, "Cortex-A72")
	expect(t, "memory", p.Hardware.Memory, int64(3885000)<<10)
	expect(t, "interfaces", p.Hardware.Interfaces, []string{"eth0"})
	expect(t, "gpu", p.Hardware.GPU, "v3d")
	expect(t, "tools", p.Tools, []string{"python3", "git"})
	expect(t, "tags", p.Tags, o.Tags)
	expect(t, "can gpu", slices.Contains(p.Capabilities, "gpu"), true)
	expect(t, "name", DefaultName(t.Context(), o), "pi4")

	m := NewMonitor(o)
	write(t, filepath.Join(o.Roots.Proc, "stat"), "cpu 150 0 0 950 0\n")
	d := m.Metrics(t.Context())
	expect(t, "cpu use", d.CPU, 50.0)
	expect(t, "memory use", d.Memory, 50.0)
	expect(t, "memory free", d.MemoryFree, int64(1942500)<<10)
	expect(t, "read", d.DiskRead, 4096)
	expect(t, "written", d.DiskWritten, 2048)
	expect(t, "received", d.Received, 1000)
	expect(t, "sent", d.Sent, 500)
	expect(t, "load", d.Load, []float64{0.5, 0.3, 0.2})
	expect(t, "uptime", d.Uptime, 86400)
	expect(t, "temperature", d.Temperature, 48.312)
	expect(t, "battery", d.Battery, "nil")
	expect(t, "cpu use at once", m.Metrics(t.Context()).CPU, "nil")
}

func TestPhone(t *testing.T) {
	o := plant(t, map[string]string{
		"system/bin/getprop": "#!/bin/sh\necho '[ro.product.model]: [Pixel 3a]'\necho '[ro.build.version.release]: [13]'\n" +
			"echo '[ro.soc.model]: [SDM670]'\n",
		"proc/meminfo":                   "MemTotal: 4000 kB\nMemAvailable: 1000 kB\n",
		"proc/sys/kernel/hostname":       "localhost\n",
		"sys/devices/system/cpu/present": "0-7\n",
		"sys/devices/system/cpu/cpu0/cpufreq/stats/time_in_state": "300000 100\n1500000 0\n",
		"sys/class/power_supply/battery/type":                     "Battery\n",
		"sys/class/power_supply/battery/capacity":                 "73\n",
		"sys/class/power_supply/battery/temp":                     "285\n",
		"sys/class/power_supply/battery/status":                   "Charging\n",
		"usr/bin/python3":                                         "#!/bin/sh\necho Python 3.12.1\n",
	})
	p := Read(t.Context(), o)
	expect(t, "platform", p.Info.Platform, "android")
	expect(t, "hostname", p.Info.Hostname, "pixel-3a")
	expect(t, "os", p.Info.OS, "Android 13")
	expect(t, "model", p.Info.Model, "Pixel 3a")
	expect(t, "role", p.Info.Role, "mobile")
	expect(t, "cores", p.Hardware.CPUCores, 8)
	expect(t, "cpu", p.Hardware.CPUModel, "SDM670")
	expect(t, "python", p.Info.Python, "3.12.1")
	expect(t, "network", slices.Contains(p.Capabilities, "network_services"), false)
	expect(t, "mobile", slices.Contains(p.Capabilities, "mobile_specific"), true)

	m := NewMonitor(o)
	write(t, filepath.Join(o.Roots.Sys, "devices/system/cpu/cpu0/cpufreq/stats/time_in_state"), "300000 175\n1500000 25\n")
	d := m.Metrics(t.Context())
	expect(t, "cpu use", d.CPU, 25.0)
	expect(t, "battery", d.Battery, 73.0)
	expect(t, "charging", d.Charging, true)
	expect(t, "temperature", d.Temperature, 28.5)
}

// A phone of which nothing can be read but what sysinfo(2) says still has a valid profile.
func TestPhoneThatDeniesAll(t *testing.T) {
	o := plant(t, map[string]string{"system/bin/getprop": "#!/bin/sh\nexit 1\n"})
	p := Read(t.Context(), o)
	expect(t, "hostname", p.Info.Hostname, "device")
	expect(t, "role", p.Info.Role, "mobile")
	expect(t, "capable", p.Capabilities[0], "computational")
	expect(t, "interfaces", p.Hardware.Interfaces != nil && len(p.Hardware.Interfaces) == 0, true)
	expect(t, "cores", p.Hardware.CPUCores > 0, true)

	d := NewMonitor(o).Metrics(t.Context())
	expect(t, "cpu use", d.CPU, "nil")
	expect(t, "memory", d.Memory, "nil")
	expect(t, "read", d.DiskRead, "nil")
	expect(t, "received", d.Received, "nil")
	expect(t, "temperature", d.Temperature, "nil")
	expect(t, "charging", d.Charging, "nil")
	expect(t, "load", len(d.Load), 3)
	expect(t, "uptime", d.Uptime != nil && *d.Uptime > 0, true)
}

func TestLaptop(t *testing.T) {
	o := plant(t, map[string]string{
		"proc/sys/kernel/hostname":                         "localhost.localdomain",
		"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA NVS 5400M\nIRQ: 1\n",
		"sys/class/dmi/id/product_name":                    "Latitude E6430\n",
		"sys/class/dmi/id/chassis_type":                    "9\n",
		"sys/class/power_supply/BAT0/type":                 "Battery\n",
		"sys/class/power_supply/BAT0/capacity":             "55\n",
		"sys/class/power_supply/BAT0/status":               "Discharging\n",
		"sys/class/power_supply/AC/type":                   "Mains\n",
		"sys/class/power_supply/AC/online":                 "0\n",
		"sys/class/power_supply/hidpp_battery_0/type":      "Battery\n",
		"sys/class/power_supply/hidpp_battery_0/scope":     "Device\n",
		"sys/class/power_supply/hidpp_battery_0/capacity":  "5\n",
	})
	o.Name = "old-dell"
	p := Read(t.Context(), o)
	expect(t, "role", p.Info.Role, "laptop")
	expect(t, "model", p.Info.Model, "Latitude E6430")
	expect(t, "gpu", p.Hardware.GPU, "NVIDIA NVS 5400M")
	expect(t, "hostname", p.Info.Hostname, "old-dell")
	expect(t, "default name", DefaultName(t.Context(), o), "device")
	d := NewMonitor(o).Metrics(t.Context())
	expect(t, "battery", d.Battery, 55.0)
	expect(t, "charging", d.Charging, false)

	o.Role = "render"
	expect(t, "owner's role", Read(t.Context(), o).Info.Role, "render")
}

func TestOutputEndsInTime(t *testing.T) {
	o := plant(t, map[string]string{"bin/slow": "#!/bin/sh\necho Python 3.1\n/bin/sleep 60 &\n/bin/sleep 60\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	got := output(ctx, filepath.Join(o.WorkDir, "bin/slow"))
	expect(t, "output", got, "Python 3.1\n")
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
	expect(t, "output of nothing", output(t.Context(), "/nonexistent"), "")
}

func TestWorkDirNotMadeYet(t *testing.T) {
	size, free, percent := usage(t.Context(), filepath.Join(t.TempDir(), "not", "yet"))
	if size <= 0 || free < 0 || percent == nil {
		t.Errorf("got %d, %d, %s", size, free, show(percent))
	}
}

func TestDefaultNameIsValid(t *testing.T) {
	for host, want := range map[string]string{
		"": "device", "localhost": "device", "手机": "device", "a b.c": "a-b", "_x": "x",
		strings.Repeat("é", 90): "device", "Box-1.example.org": "Box-1",
	} {
		got := DefaultName(t.Context(), plant(t, map[string]string{"proc/sys/kernel/hostname": host}))
		expect(t, host, got, want)
		if err := device.CheckName(got); err != nil {
			t.Error(err)
		}
	}
}
