package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

const slower = 20 * time.Millisecond // every fsync

// rowSlowDisk compares two main nodes under the same tracer, one of which waits longer for its disk.
func rowSlowDisk(r *run) error {
	n := r.size(1_000, 60)
	strace, err := r.strace()
	if err != nil {
		return err
	}
	numbers, err := r.numbers(n)
	if err != nil {
		return err
	}
	var work [2]func() (float64, error)
	for i, delay := range []time.Duration{slower, 0} {
		m, err := r.mainNode([]string{"slow", "plain"}[i], append(strace, delayed(delay)...))
		if err != nil {
			return err
		}
		if _, err := r.worker(m, m.name+"-worker", 2); err != nil {
			return err
		}
		if err := r.warm(m); err != nil {
			return err
		}
		work[i] = func() (float64, error) {
			t, err := r.each(m, n, numbers, "--", "true", "{}")
			return t.rate(n), err
		}
	}
	slow, plain, err := r.pairs(work[0], work[1])
	if err != nil {
		return err
	}
	r.atLeast("tasks a second, slow / not", both(slow, plain, ratio).figure(), "", 0.8)
	r.tell("with every fsync 20 ms longer", slow.figure(), "/s")
	r.tell("without", plain.figure(), "/s")
	r.note("both main nodes run under strace -f --seccomp-bpf, which stops them at fsync and fdatasync alone; one with a delay of 20 ms, one with none")
	return nil
}

// delayed are the arguments of strace that delay what it traces. The tracer is a grandchild, so that the traced program is the child.
func delayed(by time.Duration) []string {
	return []string{"-D", "-f", "--seccomp-bpf", "-qq", "-o", os.DevNull, "-e", "signal=none", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", by.Microseconds())}
}

// strace is the path of strace, if it is there and may trace.
func (r *run) strace() ([]string, error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, &notHere{"strace, which delays fsync, is not installed"}
	}
	args := append(delayed(0)[1:], "true") // without -D, so that its status is that of the tracer
	if out, err := exec.CommandContext(r.ctx, path, args...).CombinedOutput(); err != nil {
		return nil, &notHere{fmt.Sprintf("strace, which delays fsync, may not trace here: %v: %s", err, out)}
	}
	return []string{path}, nil
}
