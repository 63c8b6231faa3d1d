//go:build linux

package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes files below a folder; those of programs can be run.
func tree(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each phone is told what stands in its way, and what cures that on its version of Android.
func TestObstaclesOfPhones(t *testing.T) {
	const prefix = "data/data/com.termux/files/usr"
	getprop := func(sdk string) string { return "#!/bin/sh\necho '[ro.build.version.sdk]: [" + sdk + "]'\n" }
	bare := func(sdk string) map[string]string {
		return map[string]string{"system/bin/getprop": getprop(sdk), "proc/version": "", "sys/x": "", prefix + "/bin/sh": ""}
	}
	kitted := bare("33")
	for _, name := range []string{"usr/bin/termux-battery-status", "usr/bin/termux-wake-lock", "home/.termux/boot/rc-workerd"} {
		kitted["data/data/com.termux/files/"+name] = ""
	}
	for name, c := range map[string]struct {
		files  map[string]string
		wanted []string
		not    []string
	}{
		"Android 14":   {bare("34"), []string{"Disable child process restrictions", "pkg install termux-api", "Termux:Boot", "deviceidle whitelist"}, []string{"phantom"}},
		"Android 13":   {bare("33"), []string{"settings_enable_monitor_phantom_procs false"}, nil},
		"Android 12":   {bare("31"), []string{"max_phantom_processes 2147483647"}, nil},
		"Android 10":   {bare("29"), []string{"Termux:Boot"}, []string{"phantom", "Developer options"}},
		"all is there": {kitted, []string{"settings_enable_monitor", "deviceidle", "termux-wake-lock (the start script"}, []string{"pkg install", "Termux:Boot"}},
	} {
		var said strings.Builder
		for _, o := range Obstacles(t.Context(), Options{Roots: RootsBelow(tree(t, c.files))}) {
			said.WriteString(o.What + ": " + o.Cure + "\n")
		}
		for _, w := range c.wanted {
			if !strings.Contains(said.String(), w) {
				t.Errorf("%s: nothing about %q in\n%s", name, w, said.String())
			}
		}
		for _, w := range c.not {
			if strings.Contains(said.String(), w) {
				t.Errorf("%s: %q in\n%s", name, w, said.String())
			}
		}
	}
}

func TestObstaclesOfLaptops(t *testing.T) {
	laptop := map[string]string{"sys/class/dmi/id/chassis_type": "10\n", "proc/version": ""}
	for conf, sleeps := range map[string]bool{"": true, "#HandleLidSwitch=ignore\n": true, "[Login]\nHandleLidSwitch=ignore\n": false, "HandleLidSwitch=suspend\n": true} {
		laptop["etc/systemd/logind.conf"] = conf
		found := false
		for _, o := range Obstacles(t.Context(), Options{Roots: RootsBelow(tree(t, laptop)), WorkDir: t.TempDir()}) {
			found = found || strings.Contains(o.What, "lid")
		}
		if found != sleeps {
			t.Errorf("%q: %v", conf, found)
		}
	}
}
