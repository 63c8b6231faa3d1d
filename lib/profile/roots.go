package profile

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Roots says where the system's trees stand. An empty field is the real place; a test sets all of them.
type Roots struct {
	Proc   string // /proc
	Sys    string // /sys
	Etc    string // /etc
	System string // /system, of Android
	Prefix string // $PREFIX of Termux; looked at on Android only
}

const termux = "/data/data/com.termux/files/usr"

// machine is what the readers of facts are methods of.
type machine struct {
	Roots
	fake    bool // the trees are not this machine's: do not fill gaps by asking its kernel
	android bool
	props   map[string]string // Android's properties; nil: not read yet
}

func newMachine(r Roots) *machine {
	m := &machine{fake: r.Proc != "" || r.Sys != "", Roots: Roots{
		Proc:   cmp.Or(r.Proc, "/proc"),
		Sys:    cmp.Or(r.Sys, "/sys"),
		Etc:    cmp.Or(r.Etc, "/etc"),
		System: cmp.Or(r.System, "/system"),
		Prefix: cmp.Or(r.Prefix, os.Getenv("PREFIX"), termux),
	}}
	m.android = runtime.GOOS == "android" || runtime.GOOS == "linux" && exists(m.getprop())
	return m
}

// platform is the operating system's name. A linux/arm binary on a 32-bit phone is on android all the same.
func (m *machine) platform() string {
	if m.android {
		return "android"
	}
	return runtime.GOOS
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// text returns a small file without the blanks, line ends and NULs around it; empty if it cannot be read.
func text(path ...string) string {
	b, _ := os.ReadFile(filepath.Join(path...))
	return strings.Trim(string(b), " \t\r\n\x00")
}

// list returns the names in a directory, sorted; none if it cannot be read.
func list(path ...string) []string {
	entries, _ := os.ReadDir(filepath.Join(path...))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// value returns what stands behind "key:" or "key=" at the start of a line of s; sep is the ':' or '='.
func value(s, key, sep string) string {
	for line := range strings.Lines(s) {
		k, v, ok := strings.Cut(line, sep)
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
