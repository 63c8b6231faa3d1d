//go:build linux && cgo

// Package disk proves what the disk may do to a cluster without anything being lost: the power is cut at any moment of a write, or a call
// fails, the disk is full, or may not be written to. It tests the real store and the real programs. testdata/disk.c stands between SQLite
// and libc, where it either writes down what happens to the files, or lets a call fail.
//
// There are two lanes. TestPowerCut makes of what was written down the files that a power cut could have left, and opens them.
// TestStorage and those beside it let rc-mained and rc-workerd meet the faults of a disk.
//
// RC_PROVE=full runs the whole of it, RC_PROVE_SEED=N a run again: the same tasks, cuts and faults, though not the same bytes, for SQLite and
// the keys of a cluster have chance of their own.
package disk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv(envWriter) != "" {
		if err := writer(); err != nil {
			fmt.Fprintln(os.Stderr, "writer:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// full says whether the whole proof is asked for.
func full() bool { return os.Getenv("RC_PROVE") == "full" }

// number is the first where the whole proof is asked for, else the second.
func number(whole, fast int) int {
	if full() {
		return whole
	}
	return fast
}

// theSeed is that of this run. A test that fails says how to run it again.
func theSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano() % 1_000_000)
	if text := os.Getenv("RC_PROVE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("RC_PROVE_SEED=%s: a number, as a lane prints it", text)
		}
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: RC_PROVE=%s RC_PROVE_SEED=%d go test -count=1 -run '^%s$' ./lib/proof/disk", os.Getenv("RC_PROVE"), seed, t.Name())
		}
	})
	return seed
}

// programs are built once, by who needs one first.
var programs struct {
	sync.Mutex
	dir  string
	made map[string]error
}

// built gives the path of what make makes at its first call.
func built(t *testing.T, name string, make_ func(path string) error) string {
	t.Helper()
	p := &programs
	p.Lock()
	defer p.Unlock()
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "rc-disk-")
		if err != nil {
			t.Fatal(err)
		}
		p.dir, p.made = dir, map[string]error{}
	}
	path := filepath.Join(p.dir, name)
	err, done := p.made[name]
	if !done {
		err = make_(path)
		p.made[name] = err
	}
	if err != nil {
		t.Fatalf("make %s: %v", name, err)
	}
	return path
}

// library is the path of disk.so.
func library(t *testing.T) string {
	return built(t, "disk.so", func(path string) error {
		cc := os.Getenv("CC")
		if cc == "" {
			cc = "cc"
		}
		return run(exec.Command(cc, "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", path, filepath.Join("testdata", "disk.c"), "-ldl", "-pthread"))
	})
}

// run runs a command; the error holds what it printed.
func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}

// memory is a folder of the test's own, in memory where there is such a disk: what is kept there does not wait for any device.
func memory(t *testing.T) string {
	t.Helper()
	if fi, err := os.Stat("/dev/shm"); err != nil || !fi.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "rc-disk-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
