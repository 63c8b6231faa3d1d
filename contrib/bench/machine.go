package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	FileSystem string  `json:"file_system"` // of the data
	SyncMS     float64 `json:"fdatasync_p50_ms"`
}

func readMachine(dir string) (m Machine, err error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m = Machine{CPU: "unknown CPU", Cores: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version(), FileSystem: fileSystem(dir)}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	m.SyncMS, err = syncTime(dir)
	return m, err
}

// fileSystem is the kind of the file system that a folder is on.
func fileSystem(dir string) string {
	kind, longest := "an unknown file system", -1
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line) // device, where, kind
		if len(f) < 3 || len(f[1]) < longest {
			continue
		}
		if below, err := filepath.Rel(f[1], dir); err == nil && below != ".." && !strings.HasPrefix(below, "../") {
			kind, longest = f[2], len(f[1])
		}
	}
	return kind
}

// syncTime is how many milliseconds it takes to have 4 KiB behind what a file holds on disk, at the median.
func syncTime(dir string) (float64, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var s sample
	for range 100 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("fdatasync: %w", err)
		}
		s = append(s, milliseconds(time.Since(began)))
	}
	return s.median(), nil
}
