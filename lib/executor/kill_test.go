//go:build unix

package executor

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// witness is a pipe with a name: a script holds it open, and so does all that it starts. It ends when they have.
type witness struct {
	t    *testing.T
	path string
	file *os.File
}

func newWitness(t *testing.T) *witness {
	path := filepath.Join(t.TempDir(), "held")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &witness{t, path, f}
}

// gone fails the test unless every holder is gone soon.
func (w *witness) gone() string {
	w.t.Helper()
	w.file.SetReadDeadline(time.Now().Add(5 * time.Second))
	said, err := io.ReadAll(w.file)
	if err != nil {
		w.t.Errorf("a process is left: %v", err)
	}
	return string(said)
}

func (w *witness) script(s string) Attempt {
	return attempt(w.t, "shell", task.Shell{Script: `exec 3>"$HELD"; echo holding >&3; ` + s,
		Environment: map[string]string{"HELD": w.path}})
}

func quick(t *testing.T, what func()) {
	t.Helper()
	start := time.Now()
	what()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestTimeout(t *testing.T) {
	b := newBench(t, Options{})
	w := newWitness(t)
	for _, a := range []Attempt{
		attempt(t, "sleep", task.Sleep{Seconds: 60}),
		attempt(t, "command", task.Command{Argv: []string{"sleep", "60"}}),
		w.script("sleep 60; true"),
		w.script("sleep 60 & sleep 60 & wait"),
	} {
		a.Spec.Timeout = 0.05
		quick(t, func() {
			check(t, b.do(t.Context(), a), task.AttemptTimedOut, 124, "ran longer than its timeout of 50ms")
		})
	}
	w.gone()
}

func TestTimeoutNotReached(t *testing.T) {
	b := newBench(t, Options{})
	a := attempt(t, "command", task.Command{Argv: []string{"true"}})
	a.Spec.Timeout = 60
	check(t, b.do(t.Context(), a), task.AttemptCompleted, 0, "")
}

func TestCancel(t *testing.T) {
	b := newBench(t, Options{})
	for _, c := range []struct {
		script, out string
	}{
		{"echo ready; exec sleep 60", "ready\n"},
		{"trap 'echo bye; exit 0' TERM; echo ready; sleep 60 & wait", "ready\nbye\n"}, // it is asked before it is made to
	} {
		w := newWitness(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.each = cancel
		quick(t, func() { check(t, b.do(ctx, w.script(c.script)), task.AttemptCancelled, -1, "cancelled") })
		b.printed(c.out, "")
		w.gone()
	}
}

func TestCancelCause(t *testing.T) {
	b := newBench(t, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("by ann"))
	check(t, b.do(ctx, attempt(t, "sleep", task.Sleep{Seconds: 60})), task.AttemptCancelled, -1, "cancelled: by ann")
}

func TestTermIgnored(t *testing.T) {
	b := newBench(t, Options{KillGrace: 20 * time.Millisecond})
	w := newWitness(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.each = cancel
	a := w.script("trap '' TERM; echo ready; while :; do sleep 60; done")
	quick(t, func() { check(t, b.do(ctx, a), task.AttemptCancelled, -1, "cancelled") })
	w.gone()
}

// What the leader leaves behind in its group ends with it, whether or not it holds the output.
func TestGroupEndsWithLeader(t *testing.T) {
	b := newBench(t, Options{})
	for _, script := range []string{
		"sleep 60 & echo done",
		"(trap '' TERM HUP; sleep 60; sleep 60) & echo done",
		"nohup sleep 60 >/dev/null 2>&1 & echo done",
		"sleep 60 | sleep 60 & echo done",
	} {
		w := newWitness(t)
		quick(t, func() { check(t, b.do(t.Context(), w.script(script)), task.AttemptCompleted, 0, "") })
		b.printed("done\n", "")
		w.gone()
	}
}

// escape is a Python program whose child leaves the group, says its number to the witness and goes on holding the
// output, while the leader runs the lines put in.
func escape(w *witness, leader string) Attempt {
	needsPython(w.t) // setsid(1) is not everywhere
	return w.script(`exec python3 -c '
import os, sys
r, s = os.pipe()
if os.fork():
    os.read(r, 1)
    ` + leader + `
else:
    os.setsid()
    os.write(3, b"%d\n" % os.getpid())
    os.write(s, b"x")
    os.execvp("sleep", ["sleep", "60"])'`)
}

// escaped holds of a process that left the group: it ends with the attempt where descendants can be found, and is ended here where not.
func escaped(t *testing.T, w *witness) {
	t.Helper()
	if runtime.GOOS == "linux" {
		w.gone()
	} else {
		killSaid(t, w)
	}
}

// A process that left the group and holds the output is not waited for.
func TestPipeHeldFromOutside(t *testing.T) {
	b := newBench(t, Options{})
	w := newWitness(t)
	a := escape(w, `print("left", flush=True); sys.exit(3)`)
	quick(t, func() { check(t, b.do(t.Context(), a), task.AttemptFailed, 3, "exit status 3") })
	b.printed("left\n", "")
	escaped(t, w)
}

// killSaid ends the process whose number the witness was told.
func killSaid(t *testing.T, w *witness) {
	t.Helper()
	w.file.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	said, _ := io.ReadAll(w.file)
	f := strings.Fields(string(said))
	pid, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		t.Fatalf("the witness was told %q", said)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill %d: %v", pid, err)
	}
}

// A sink that takes its time loses nothing, though the leader is long gone and somebody holds the pipe.
func TestSlowSink(t *testing.T) {
	b := newBench(t, Options{})
	w := newWitness(t)
	b.each = func() {
		if b.out.Len() <= bufferSize { // the first piece; when it is done with, the pipes are past their time
			<-time.After(pipeGrace + 100*time.Millisecond)
		}
	}
	a := escape(w, `os.write(1, b"x" * 60000)`)
	check(t, b.do(t.Context(), a), task.AttemptCompleted, 0, "")
	if b.out.Len() != 60000 {
		t.Errorf("%d bytes", b.out.Len())
	}
	escaped(t, w)
}

// The sink is not called once Run has returned, and never twice at a time: the race detector would see it.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	done := make(chan int)
	for range 8 {
		go func() {
			n := 0
			sink := func(_ task.Stream, data []byte) { n += len(data) }
			for range 5 {
				b.Run(t.Context(), attempt(t, "shell", task.Shell{Script: "echo 1; echo 2 >&2; echo 3"}), sink)
			}
			done <- n
		}()
	}
	for range 8 {
		if n := <-done; n != 30 {
			t.Errorf("%d bytes", n)
		}
	}
}
