package executor

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the kernel is told of limits, in a folder that is like that of a control group.
func TestGroupIsTold(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := openCgroups(root)
	if err != nil || !g.keeps("memory") || !g.keeps("pids") || !g.keeps("cpu") || g.keeps("io") {
		t.Fatalf("%+v, %v", g, err)
	}
	dir, err := g.slot()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slot, err := openGroup(&setup{Cgroup: dir, Keeps: g.has})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(slot.fd)
	for _, c := range []struct {
		limits               Limits
		memory, swap, number string
		cpu                  string
	}{
		{Limits{}, "", "", "", ""},
		{Limits{Memory: 64 << 20}, "67108864", "0", "", ""},
		{Limits{Memory: 64 << 20, Processes: 5, CPUs: 0.5}, "67108864", "0", "296", "50000"},
		{Limits{CPUs: 2}, "max", "max", "max", "200000"},
		{Limits{}, "max", "max", "max", "max"},
	} {
		slot.limit(&c.limits)
		got := [4]string{}
		for i, file := range []string{"memory.max", "memory.swap.max", "pids.max", "cpu.max"} {
			b, _ := os.ReadFile(filepath.Join(dir, file))
			got[i] = string(b)
		}
		if want := [4]string{c.memory, c.swap, c.number, c.cpu}; got != want {
			t.Errorf("%+v: %q, want %q", c.limits, got, want)
		}
	}
}

// What the kernel has ended is told by its counts, once.
func TestGroupCounts(t *testing.T) {
	g := &group{dir: t.TempDir(), limits: Limits{Memory: 1, Processes: 1}}
	events := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		memory, pids string
		want         excess
	}{
		{"", "", 0},
		{"low 0\noom 1\noom_kill 0\n", "max 0\n", 0},
		{"low 0\noom 1\noom_kill 2\n", "max 0\n", ofMemory},
		{"low 0\noom 1\noom_kill 2\n", "max 0\n", 0},
		{"low 0\noom 1\noom_kill 2\n", "max 7\n", ofProcesses},
		{"low 0\noom 1\noom_kill 2\n", "max 7\n", 0},
	} {
		events("memory.events", c.memory)
		events("pids.events", c.pids)
		if got := g.excess(); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.memory, c.pids, got, c.want)
		}
	}
}

// A program is started in its group, and killed with all in it.
func TestGroupIsKilled(t *testing.T) {
	parent, err := ownCgroup()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(parent, "rc-test-"+filepath.Base(t.TempDir()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no control group may be made here")
	}
	defer removeCgroup(dir)
	g, err := openGroup(&setup{Cgroup: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(g.fd)
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "setsid sleep 60 & sleep 60"}, &syscall.ProcAttr{Sys: new(setup).attributes(g)})
	if err != nil {
		t.Fatal(err)
	}
	inside := func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		return len(strings.Fields(string(b)))
	}
	for begin := time.Now(); inside() < 3 && time.Since(begin) < 10*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if n := inside(); n < 3 {
		t.Errorf("%d processes in the group", n)
	}
	g.kill()
	reap(pid)
	for begin := time.Now(); inside() > 0; {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%d processes are left", inside())
		}
		time.Sleep(time.Millisecond)
	}
}
