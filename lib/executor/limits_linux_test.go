package executor

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Each limit ends what exceeds it, with all that it has started, and says so; what keeps to them is not touched.
func TestLimits(t *testing.T) {
	limits := Limits{Memory: 96 << 20, Processes: 40, FileSize: 1 << 20, CPUTime: time.Second, Nice: 5}
	for name, c := range map[string]struct {
		script string
		code   int
		reason string
	}{
		"memory":             {"x=$(head -c 300000000 /dev/zero | tr '\\0' x); sleep 60", 137, "it used more than 96 MiB of memory"},
		"memory of many":     {"for i in 1 2 3 4; do (x=$(head -c 40000000 /dev/zero | tr '\\0' x); sleep 60; :) & done; sleep 60", 137, "it used more than 96 MiB of memory"},
		"processes":          {"grow() { [ $1 = 0 ] || { grow $(($1 - 1)) & grow $(($1 - 1)) & }; sleep 60; }; grow 8", 137, "it had more than 40 processes"},
		"the size of a file": {"exec head -c 2000000 /dev/zero >file", 153, "killed by signal 25 (file size limit exceeded)"},
		"CPU time":           {"while :; do :; done", 152, "killed by signal 24 (CPU time limit exceeded)"},
		"shared memory":      {"exec python3 -c 'import mmap,time; m=mmap.mmap(-1,300<<20); m.write(b\"x\"*(300<<20)); time.sleep(60)'", 137, "it used more than 96 MiB of memory"},
		"memory of forks":    {"exec python3 -c 'import os,time; x=bytes(60<<20); [os.fork() or (time.sleep(1), os._exit(0)) for _ in range(4)]; time.sleep(1.5)'", 0, ""},
		"none":               {"sleep 0.2; head -c 1000000 /dev/zero >file; rm file; for i in 1 2 3 4 5; do sleep 0.1 & done; wait", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.script, python) {
				if _, err := lookPath(python, os.Getenv("PATH")); err != nil {
					t.Skip("no python3 here")
				}
			}
			t.Parallel()
			limits := limits
			if name != "CPU time" { // which a busy machine could make the first to be met
				limits.CPUTime = time.Minute
			}
			b := newBench(t, Options{Limits: limits})
			w := newWitness(t)
			status := task.AttemptFailed
			if c.code == 0 {
				status = task.AttemptCompleted
			}
			check(t, b.do(t.Context(), w.script(c.script)), status, c.code, c.reason)
			if left := w.emptied(5 * time.Second); left > 0 {
				t.Errorf("%d processes are left", left)
			}
		})
	}
}

// A task's own limits hold where they are stricter than the device's, and for that task alone.
func TestLimitsOfTask(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{Memory: 1 << 30, Disk: 8 << 20}})
	eats := "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 0.4"
	writes := "head -c 20000000 /dev/zero >file; sleep 60"
	for _, c := range []struct {
		script string
		own    *task.Limits
		code   int
		reason string
	}{
		{eats, &task.Limits{Memory: 64 << 20}, 137, "it used more than 64 MiB of memory"},
		{eats, nil, 0, ""},
		{writes, nil, 137, "its directory held more than 8 MiB"},
		{writes, &task.Limits{Disk: 4 << 20}, 137, "its directory held more than 4 MiB"},
		{writes, &task.Limits{Disk: 1 << 30}, 137, "its directory held more than 8 MiB"},
		{"for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait", &task.Limits{Processes: 4}, 137, "it had more than 4 processes"},
	} {
		a := attempt(t, task.TypeShell, task.Shell{Script: c.script})
		a.Spec.Limits = c.own
		status := task.AttemptFailed
		if c.code == 0 {
			status = task.AttemptCompleted
		}
		check(t, b.do(t.Context(), a), status, c.code, c.reason)
	}
}

// What a program starts before anything else is limited like the program.
func TestLimitsOfChildren(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{CPUTime: 3 * time.Second}})
	for range 50 {
		check(t, b.sh("grep '^Max cpu' /proc/self/limits & wait"), task.AttemptCompleted, 0, "")
		if f := strings.Fields(b.out.String()); len(f) < 4 || f[3] != "3" {
			t.Fatalf("%q", b.out.String())
		}
	}
}

// A limit that this device had before stays where it is stricter: it is no reason not to work.
func TestLimitsThatAreStricterAlready(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{FileSize: 1 << 40, Nice: 3}})
	inherited := newBench(t, Options{Limits: Limits{FileSize: 1 << 20, Nice: 9}})
	check(t, inherited.sh("nice; ulimit -f"), task.AttemptCompleted, 0, "")
	inherited.printed("9\n2048\n", "") // in half KiB
	check(t, b.sh("nice"), task.AttemptCompleted, 0, "")
	b.printed("3\n", "")
	if err := lower(unix.RLIMIT_NOFILE, 1<<62); err != nil { // above what this process may have
		t.Error(err)
	}
}

// What every attempt is kept from, or told, by its helper.
func TestLimitsOfAll(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{Nice: 7}})
	check(t, b.sh("ulimit -c; nice; grep NoNewPrivs /proc/self/status"), task.AttemptCompleted, 0, "")
	if got := strings.Fields(b.out.String()); strings.Join(got, " ") != "0 7 NoNewPrivs: 1" {
		t.Errorf("%q", got)
	}
}
