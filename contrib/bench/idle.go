package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rowIdle looks at a worker that has nothing to do.
func rowIdle(r *run) error {
	m, err := r.mainNode("main", nil)
	if err != nil {
		return err
	}
	w, err := r.worker(m, "worker", 2)
	if err != nil {
		return err
	}
	if err := r.sleep(time.Duration(r.size(30, 1)) * time.Second); err != nil { // what it does once only: it finds out versions, and its speed
		return err
	}
	window := time.Duration(r.size(120, 3)) * time.Second // two heartbeats
	cpu, err := r.cpuWhile(w.pid(), window)
	if err != nil {
		return err
	}
	held, err := inMiB(w.pid(), resident)
	if err != nil {
		return err
	}
	r.atMost("memory", held, "MiB", 15)
	r.atMost("CPU", once(cpu.share), "% of a core", 0.1)
	r.atMost("written to disk", once(float64(cpu.written)), "bytes", 0)
	r.note("within %s", window)
	return r.sizeForPhones()
}

// used is what a process used within a time.
type used struct {
	share   float64 // percent of a core
	written int64   // bytes, to disk
}

// cpuWhile watches a process for a while.
func (r *run) cpuWhile(pid int, window time.Duration) (u used, err error) {
	cpu, err1 := cpuOf(pid)
	written, err2 := writes(pid)
	began := time.Now()
	if err := errors.Join(err1, err2, r.sleep(window)); err != nil {
		return u, err
	}
	cpuAfter, err1 := cpuOf(pid)
	writtenAfter, err2 := writes(pid)
	u.share = 100 * float64(cpuAfter-cpu) / float64(time.Since(began))
	u.written = writtenAfter - written
	return u, errors.Join(err1, err2)
}

// sizeForPhones builds the worker as make dist does. A quick run only looks for one that is there.
func (r *run) sizeForPhones() error {
	path := filepath.Join("dist", "linux", "arm64", "rc-workerd")
	if _, err := os.Stat(path); err != nil && r.set.quick {
		r.note("the size for linux/arm64 is measured without -quick, or after make dist")
		return nil
	}
	if !r.set.quick {
		path = r.path("rc-workerd-arm64")
		build := exec.CommandContext(r.ctx, "go", "build", "-tags", "nethttpomithttp2", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/retire-cluster/retire-cluster/cmd/rc-workerd")
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build rc-workerd for linux/arm64: %w: %s", err, out)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.atMost("size for linux/arm64", once(float64(info.Size())/1e6), "MB", 9)
	return nil
}
