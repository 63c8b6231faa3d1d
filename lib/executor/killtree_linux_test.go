package executor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func init() { others[wildName], others[hostName] = wild, host }

// hostName is the program that hosts an executor and runs one attempt, so that it can be stopped and killed. With a third argument it fences
// the attempt when that has first said something, and says so itself after that.
const hostName = "host"

func host(argv []string) {
	var a Attempt
	if err := json.Unmarshal([]byte(argv[2]), &a); err != nil {
		panic(err)
	}
	x, err := New(Options{Dir: argv[1], KillGrace: 50 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	left, _ := time.ParseDuration(argv[3])
	r := x.Run(context.Background(), a, func(_ task.Stream, data []byte) {
		if left > 0 {
			x.Fence(a.Lease, left, 20*time.Millisecond)
			left = 0
		}
		if len(data) < 100 && !strings.HasPrefix(string(data), "\n[") { // which says what is missing
			os.Stdout.Write(data)
		}
	})
	status, _ := os.ReadFile("/proc/self/status")
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println(r.Status, strings.Fields(peak)[0], r.Reason)
	os.Exit(0)
}

// hosted is an attempt in a host of its own.
type hosted struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func newHosted(t *testing.T, a Attempt, fence time.Duration) *hosted {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{hostName, t.TempDir(), string(text), fence.String()}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return &hosted{cmd, bufio.NewReader(out)}
}

// ready waits until the attempt has said so.
func (h *hosted) ready(t *testing.T) {
	t.Helper()
	if line, err := h.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the host says %q, %v", line, err)
	}
}

// result waits for the end of the attempt.
func (h *hosted) result(t *testing.T) (status task.Outcome, peak int64, reason string) {
	t.Helper()
	line, err := h.out.ReadString('\n')
	f := strings.SplitN(strings.TrimSpace(line), " ", 3)
	if len(f) < 2 {
		t.Fatalf("the host says %q, %v", line, err)
	}
	kib, _ := strconv.ParseInt(f[1], 10, 64)
	return task.Outcome(f[0]), kib << 10, strings.Join(f[2:], "")
}

// runWild is the attempt of a misbehaving program, whose processes hold the witness.
func (w *witness) runWild(pattern, stay string) Attempt {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	link := filepath.Join(filepath.Dir(w.path), wildName)
	if err := os.Symlink(self, link); err != nil && !os.IsExist(err) {
		w.t.Fatal(err)
	}
	return w.script(fmt.Sprintf("exec '%s' %s %s", link, pattern, stay))
}

// holders are the processes that have the witness open, however they hide.
func (w *witness) holders() (found []entry) {
	for _, e := range processes() {
		if e.pid == os.Getpid() || isBecoming(e) {
			continue
		}
		dir := "/proc/" + strconv.Itoa(e.pid) + "/fd/"
		fds, _ := os.ReadDir(dir)
		for _, fd := range fds {
			if to, _ := os.Readlink(dir + fd.Name()); to == w.path {
				found = append(found, e)
				break
			}
		}
	}
	return found
}

// isBecoming says whether a process is a copy of this one that has not become its program yet: until then it holds what this one does. Other tests start
// some at the same time.
func isBecoming(e entry) bool {
	line := func(pid int) string {
		var buf [4096]byte
		return string(buf[:readProc(pid, "cmdline", buf[:])])
	}
	return e.parent == os.Getpid() && line(e.pid) == line(os.Getpid())
}

// emptied waits until nobody holds the witness, and returns how many still do after a time.
func (w *witness) emptied(limit time.Duration) (left int) {
	for begin := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		if left = len(w.holders()); left == 0 || time.Since(begin) > limit {
			return left
		}
	}
}

// ends are the ways in which an attempt comes to its end; each returns how many processes are left.
var ends = map[string]func(t *testing.T, w *witness, pattern string) int{
	"leader": func(t *testing.T, w *witness, pattern string) int {
		b := newBench(t, Options{})
		check(t, b.do(t.Context(), w.runWild(pattern, "0s")), task.AttemptCompleted, 0, "")
		b.printed("ready\n", "")
		return len(w.holders()) // at once: the result says that it is over
	},
	"cancel": func(t *testing.T, w *witness, pattern string) int {
		b := newBench(t, Options{KillGrace: 20 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		b.each = cancel
		check(t, b.do(ctx, w.runWild(pattern, "1h")), task.AttemptCancelled, -1, "cancelled")
		b.printed("ready\n", "")
		return len(w.holders())
	},
	"host": func(t *testing.T, w *witness, pattern string) int {
		h := newHosted(t, w.runWild(pattern, "1h"), 0)
		h.ready(t)
		if len(w.holders()) == 0 {
			t.Error("nobody holds the witness")
		}
		h.cmd.Process.Kill()
		return w.emptied(time.Second)
	},
}

// full says whether the whole proof is wanted.
func full() bool { return os.Getenv("RC_PROVE") == "full" }

// TestKillTree proves that nothing outlives an attempt, in all ways of ending and of hiding; and, as the control of the proof, that things
// do where only the process group is killed.
func TestKillTree(t *testing.T) {
	times, began := 3, time.Now()
	if full() {
		times = 20
	}
	var runs, survivors atomic.Int64
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			for name, end := range ends {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					for i := 0; i < times && (i == 0 || full() || time.Since(began) < 4*time.Second); i++ {
						w := newWitness(t)
						left := end(t, w, pattern)
						if left > 0 {
							t.Errorf("%d processes are left", left)
						}
						killAll(w.holders)
						runs.Add(1)
						survivors.Add(int64(left))
					}
				})
			}
		})
	}
	control, missed := killTreeControl(t)
	fmt.Printf("LANE killtree patterns=%d runs=%d survivors=%d control_survivors=%d control_patterns=%d\n", len(patterns), runs.Load(), survivors.Load(), control, missed)
}

// killTreeControl kills groups only, and counts what is left.
func killTreeControl(t *testing.T) (survivors, missed int) {
	for _, pattern := range patterns {
		w := newWitness(t)
		b := newBench(t, Options{})
		b.slots.off = true
		check(t, b.do(t.Context(), w.runWild(pattern, "0s")), task.AttemptCompleted, 0, "")
		if left := w.emptied(200 * time.Millisecond); left > 0 {
			survivors += left
			missed++
		}
		for begin := time.Now(); w.emptied(0) > 0 && time.Since(begin) < 5*time.Second; {
			killAll(w.holders)
		}
	}
	if missed < 3 {
		t.Errorf("only %d patterns leave something where groups alone are killed: this test proves nothing", missed)
	}
	return survivors, missed
}

// A program that kills its helper is lost, and what it has started with it.
func TestHelperKilled(t *testing.T) {
	for _, script := range []string{
		"kill -9 $PPID; sleep 60",
		"sleep 60 & sleep 60 & kill -9 $PPID; wait",
		"trap '' TERM; (trap '' TERM HUP; sleep 60; sleep 60) & kill -9 $PPID; sleep 60",
		"cd /; setsid sleep 60 & kill -9 $PPID; sleep 60",
		"env -i setsid sleep 60 & kill -9 $PPID; sleep 60",
		"cd /; env -i sleep 60 & kill -9 $PPID; sleep 60",
	} {
		b := newBench(t, Options{})
		w := newWitness(t)
		quick(t, func() { check(t, b.do(t.Context(), w.script(script)), task.AttemptLost, -1, reasonKilled) })
		if left := len(w.holders()); left > 0 {
			t.Errorf("%s: %d processes are left", script, left)
			killAll(w.holders)
		}
		check(t, b.sh("true"), task.AttemptCompleted, 0, "") // in another helper
	}
}

// Should helper and host be gone at once, the leader goes with them, though not what it has started.
func TestHelperKilledAlone(t *testing.T) {
	w := newWitness(t)
	h := newHosted(t, w.script("echo ready; exec sleep 60"), 0)
	h.ready(t)
	h.cmd.Process.Signal(syscall.SIGSTOP) // so that it does nothing about it
	leader := w.holders()
	if len(leader) != 1 {
		t.Fatalf("the leader is %v", leader)
	}
	syscall.Kill(leader[0].parent, syscall.SIGKILL)
	if left := w.emptied(time.Second); left > 0 {
		t.Errorf("%d processes are left", left)
		killAll(w.holders)
	}
}

// An order that overtakes its launch, since they go different ways, holds.
func TestCancelledAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	for i := range 40 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(i)*25*time.Microsecond, context.Canceled)
		a := attempt(t, "command", task.Command{Argv: []string{"sleep", "60"}})
		quick(t, func() {
			if r := b.do(ctx, a); r.Status != task.AttemptCancelled {
				t.Errorf("%+v", r)
			}
		})
		cancel()
	}
}

// A helper that its program has stopped does its part all the same.
func TestHelperStopped(t *testing.T) {
	b := newBench(t, Options{KillGrace: 20 * time.Millisecond})
	w := newWitness(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.each = cancel
	quick(t, func() {
		check(t, b.do(ctx, w.script("setsid sleep 60 & kill -STOP $PPID; echo ready; sleep 60")), task.AttemptCancelled, -1, "cancelled")
	})
	if left := len(w.holders()); left > 0 {
		t.Errorf("%d processes are left", left)
	}
}

// An idle helper that died is replaced.
func TestIdleHelperKilled(t *testing.T) {
	b := newBench(t, Options{})
	check(t, b.sh("true"), task.AttemptCompleted, 0, "")
	b.slots.mu.Lock()
	pid := b.slots.idle[0].pid
	b.slots.mu.Unlock()
	syscall.Kill(pid, syscall.SIGKILL)
	for syscall.Kill(pid, 0) == nil { // waited for
		time.Sleep(time.Millisecond)
	}
	check(t, b.sh("true"), task.AttemptCompleted, 0, "")
}

// A helper is used again, and ends when it is not.
func TestIdleHelperEnds(t *testing.T) {
	b := newBench(t, Options{})
	b.slots.keep = 100 * time.Millisecond
	b.sh("echo $PPID")
	first := b.out.String()
	b.sh("echo $PPID")
	b.printed(first, "")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the helper of one slot has %d KiB", resident(pid)>>10)
	for begin := time.Now(); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the helper is still there")
		}
	}
}

// A tree that grows in all directions is ended while it does.
func TestForkBomb(t *testing.T) {
	b := newBench(t, Options{KillGrace: time.Millisecond})
	w := newWitness(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for begin := time.Now(); len(w.holders()) < 40 && time.Since(begin) < 5*time.Second; {
			time.Sleep(time.Millisecond)
		}
	}()
	check(t, b.do(ctx, w.runWild("bomb", "7")), task.AttemptCancelled, -1, "cancelled") // 255 of them, if it had the time
	if left := len(w.holders()); left > 0 {
		t.Errorf("%d processes are left", left)
		killAll(w.holders)
	}
}

// Much output costs no memory.
func TestGigabyte(t *testing.T) {
	h := newHosted(t, attempt(t, "command", task.Command{Argv: []string{"head", "-c", "1073741824", "/dev/zero"}}), 0)
	status, peak, reason := h.result(t)
	if status != task.AttemptCompleted || reason != "output limit of 8 MiB reached; 1065418752 bytes not kept" {
		t.Errorf("%s, %q", status, reason)
	}
	if peak > 64<<20 || peak == 0 {
		t.Errorf("the host had %d KiB at the peak", peak>>10)
	}
}

// Programs inherit nothing of this process, nor of the helper but the pipe for progress: no descriptor, no ignored or blocked signal.
func TestCleanStart(t *testing.T) {
	leak, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0) // not closed on exec
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	ignored := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGTSTP}
	signal.Ignore(ignored...)
	defer signal.Reset(ignored...)
	runtime.LockOSThread() // the helper is started by this thread; it ends with the test
	blocked := &unix.Sigset_t{}
	blocked.Val[0] = 1 << (syscall.SIGUSR2 - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, blocked, nil); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{})
	check(t, b.run("command", task.Command{Argv: []string{"ls", "/proc/self/fd"}, Stdin: "x"}), task.AttemptCompleted, 0, "")
	b.printed("0\n1\n2\n3\n4\n", "") // 3 is for progress, 4 is of ls itself
	check(t, b.run("command", task.Command{Argv: []string{"grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"}}), task.AttemptCompleted, 0, "")
	const clean = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
	const clib = "SigBlk:\t0000000000000000\nSigIgn:\t0000000080000000\n" // with cgo, the C library keeps the 32nd for itself
	if got := b.out.String(); got != clean && got != clib {
		t.Errorf("blocked and ignored are\n%s", got)
	}
}

// The next executor ends what outlived the one before.
func TestStrays(t *testing.T) {
	const stray = `setsid sh -c 'echo >left; cd $TO; exec sleep 60' & until [ -e left ]; do :; done`
	for _, script := range []string{
		"TO=. " + stray,
		"TO=. env -i " + stray,
		"TO=/ " + stray,
	} {
		w := newWitness(t)
		dir := t.TempDir()
		b := newBench(t, Options{Dir: dir})
		b.slots.off = true
		b.Run(t.Context(), w.script(script), b.sink)
		if len(w.holders()) != 1 {
			t.Fatalf("%s: %d processes are left", script, len(w.holders()))
		}
		x, err := New(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Clean(); err != nil {
			t.Error(err)
		}
		if left := len(w.holders()); left > 0 {
			t.Errorf("%s: %d processes are left", script, left)
			killAll(w.holders)
		}
	}
}

// What is halted does nothing, with all that it has started, and goes on where it was; it can be ended meanwhile.
func TestHalt(t *testing.T) {
	for _, direct := range []bool{false, true} {
		grace := 5 * time.Second // so that it is seen to be woken, to end by itself
		if direct {
			grace = 50 * time.Millisecond // children of this process ignore SIGTERM where a test before this one had it do so
		}
		b := newBench(t, Options{KillGrace: grace})
		b.slots.off = direct
		file := filepath.Join(t.TempDir(), "ticks")
		size := func() int64 {
			fi, err := os.Stat(file)
			if err != nil {
				return 0
			}
			return fi.Size()
		}
		grows := func() bool {
			was := size()
			for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; time.Sleep(time.Millisecond) {
				if size() != was {
					return true
				}
			}
			return false
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan task.Result, 1)
		a := attempt(t, "shell", task.Shell{Script: "tick() { while :; do echo >>" + file + "; done; }; tick & tick"})
		go func() { ended <- b.do(ctx, a) }()
		for !grows() {
			continue
		}
		b.Halt(true)
		for begin := time.Now(); grows(); {
			if time.Since(begin) > 5*time.Second {
				t.Fatal("it does not stand still")
			}
		}
		b.Halt(false)
		for begin := time.Now(); !grows(); {
			if time.Since(begin) > 5*time.Second {
				t.Fatal("it does not go on")
			}
		}
		b.Halt(true)
		quick(t, func() { cancel(); check(t, <-ended, task.AttemptCancelled, -1, "cancelled") })
	}
}

// A shell with job control does not take its child for stopped when both go on.
func TestHaltAndJobControl(t *testing.T) {
	if _, err := lookPath("bash", os.Getenv("PATH")); err != nil {
		t.Skip("no bash here")
	}
	b := newBench(t, Options{})
	ready := make(chan bool, 1)
	b.each = func() {
		select {
		case ready <- true:
		default:
		}
	}
	ended := make(chan task.Result, 1)
	go func() {
		ended <- b.do(t.Context(), attempt(t, "command", task.Command{Argv: []string{"bash", "-c", "set -m; sh -c 'echo; exec sleep 0.5'; echo rc=$?"}}))
	}()
	<-ready
	b.slots.mu.Lock()
	helper := b.slots.working[0].pid
	b.slots.mu.Unlock()
	for range 3 {
		b.Halt(true)
		for slices.ContainsFunc(descendants(helper), func(e entry) bool { return !isStopped(e.pid) }) {
			time.Sleep(time.Millisecond)
		}
		b.Halt(false)
	}
	check(t, <-ended, task.AttemptCompleted, 0, "")
	b.printed("\nrc=0\n", "")
}
