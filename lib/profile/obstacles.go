package profile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Obstacle is something on this machine that stands in the way of a worker, and what cures it.
type Obstacle struct {
	What string
	Cure string
	Seen bool // it is there; otherwise a program cannot see whether it is
}

// Obstacles finds what stands in the way of a worker on this machine, the worst first.
func Obstacles(ctx context.Context, o Options) []Obstacle {
	m := newMachine(o.Roots)
	if m.android {
		return m.androidObstacles(ctx)
	}
	return m.otherObstacles(ctx, o)
}

// RootsBelow are the system's trees below a folder that stands for /, where they are there; the others are the real ones.
func RootsBelow(dir string) (r Roots) {
	for _, tree := range []struct {
		root *string
		name string
	}{{&r.Proc, "proc"}, {&r.Sys, "sys"}, {&r.Etc, "etc"}, {&r.System, "system"}, {&r.Prefix, strings.TrimPrefix(termux, "/")}} {
		if path := filepath.Join(dir, tree.name); dir != "" && exists(path) {
			*tree.root = path
		}
	}
	return r
}

// Android 12 brought the killer of phantom processes; how to keep it away changed twice since. The numbers are those of the SDK.
const (
	android12  = 31
	android12L = 32
	android14  = 34
)

func (m *machine) androidObstacles(ctx context.Context) (all []Obstacle) {
	if m.wrongBuild() {
		all = append(all, Obstacle{"this is the build for Linux: Android kills it when it starts programs", "install the build for android/arm64, with termux/install.sh", true})
	}
	if cure := phantomCure(m.sdk(ctx)); cure != "" {
		all = append(all, Obstacle{"Android ends programs in the background when all apps together have more than 32 of them", cure, false})
	}
	if m.termuxProgram("termux-battery-status") == "" {
		all = append(all, Obstacle{"the battery and its heat cannot be read, so that the device cannot rest in time",
			"pkg install termux-api, and install the app Termux:API from where Termux came from", true})
	}
	if m.termuxProgram("termux-wake-lock") == "" {
		all = append(all, Obstacle{"the phone sleeps when its screen is off, and tasks with it", "pkg install termux-api; then termux-wake-lock in the start script", true})
	} else {
		all = append(all, Obstacle{"the phone sleeps when its screen is off, and tasks with it", "termux-wake-lock (the start script of termux/install.sh does it)", false})
	}
	if home := m.termuxHome(); !exists(filepath.Join(home, ".termux", "boot")) {
		all = append(all, Obstacle{"it does not start again with the phone", "install the app Termux:Boot, open it once, and run termux/install.sh", true})
	}
	return append(all, Obstacle{"Android may end Termux to spare the battery",
		"Settings, Apps, Termux, Battery: unrestricted; or from a computer: adb shell dumpsys deviceidle whitelist +com.termux", false})
}

// wrongBuild says whether this program was built for another kind of Linux. For 32 bits there is no other.
func (m *machine) wrongBuild() bool { return runtime.GOOS == "linux" && runtime.GOARCH != "arm" }

func (m *machine) sdk(ctx context.Context) int {
	n, _ := strconv.Atoi(m.prop(ctx, "ro.build.version.sdk"))
	return n
}

func phantomCure(sdk int) string {
	switch {
	case sdk >= android14:
		return `Settings, Developer options: turn on "Disable child process restrictions"`
	case sdk >= android12L:
		return "from a computer: adb shell settings put global settings_enable_monitor_phantom_procs false"
	case sdk == android12:
		return "from a computer: adb shell device_config set_sync_disabled_for_tests persistent; adb shell device_config put activity_manager max_phantom_processes 2147483647"
	}
	return ""
}

func (m *machine) termuxProgram(name string) string {
	if path := filepath.Join(m.Prefix, "bin", name); exists(path) {
		return path
	}
	return ""
}

// termuxHome is where Termux has the home directory: beside its prefix.
func (m *machine) termuxHome() string { return filepath.Join(filepath.Dir(m.Prefix), "home") }

func (m *machine) otherObstacles(ctx context.Context, o Options) (all []Obstacle) {
	if _, err := os.Stat(o.WorkDir); err != nil && !os.IsNotExist(err) {
		all = append(all, Obstacle{fmt.Sprintf("its directory cannot be used: %v", err), "give another with --data", true})
	}
	if _, free, _ := usage(ctx, o.WorkDir); free > 0 && free < 1<<30 {
		all = append(all, Obstacle{fmt.Sprintf("only %d MiB are free for tasks", free>>20), "free some of the disk, or give another with --data", true})
	}
	if m.role(ctx) == "laptop" && runtime.GOOS == "linux" && !m.lidIgnored() {
		all = append(all, Obstacle{"the laptop sleeps when its lid is closed, and tasks with it",
			"HandleLidSwitch=ignore in /etc/systemd/logind.conf, then systemctl restart systemd-logind", true})
	}
	if lookPath("python3") == "" {
		all = append(all, Obstacle{"tasks of the type python_eval cannot run", "install python3", true})
	}
	return all
}

// lidIgnored reads logind's configuration: the last word on it counts.
func (m *machine) lidIgnored() bool {
	files, _ := filepath.Glob(filepath.Join(m.Etc, "systemd/logind.conf.d/*.conf"))
	ignored := false
	for _, file := range append([]string{filepath.Join(m.Etc, "systemd/logind.conf")}, files...) {
		if v := value(text(file), "HandleLidSwitch", "="); v != "" {
			ignored = v == "ignore" || v == "lock"
		}
	}
	return ignored
}
