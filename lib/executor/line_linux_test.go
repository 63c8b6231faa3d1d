package executor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// queue is attempts in the line of one slot.
type queue struct {
	*bench
	attempts sync.WaitGroup
	mu       sync.Mutex
	results  []task.Result
	printed  []string
}

func newQueue(t *testing.T) *queue {
	return &queue{bench: newBench(t, Options{Slots: 1, KillGrace: 50 * time.Millisecond})}
}

// held is how many attempts the helpers have.
func (q *queue) held() (n int) {
	q.slots.mu.Lock()
	defer q.slots.mu.Unlock()
	for _, s := range q.slots.working {
		line, _ := s.waiting()
		n += line
	}
	return n
}

// add lines an attempt up, and waits until it stands there, or has left again.
func (q *queue) add(ctx context.Context, a Attempt) {
	q.mu.Lock()
	i := len(q.results)
	q.results, q.printed = append(q.results, task.Result{Reason: "runs"}), append(q.printed, "")
	q.mu.Unlock()
	before := q.held()
	done := make(chan struct{})
	a.Lined = true
	a.Lease.Attempt = i + 1
	q.attempts.Go(func() {
		defer close(done)
		var out strings.Builder
		r := q.Run(ctx, a, func(_ task.Stream, data []byte) { out.Write(data) })
		q.mu.Lock()
		defer q.mu.Unlock()
		q.results[i], q.printed[i] = r, out.String()
	})
	for {
		select {
		case <-done:
			return
		default:
			if q.held() > before {
				return
			}
			time.Sleep(10 * time.Microsecond)
		}
	}
}

func (q *queue) sh(script string) {
	q.add(q.t.Context(), attempt(q.t, "shell", task.Shell{Script: script}))
}

// want waits for all, and compares how they ended.
func (q *queue) want(want ...task.Outcome) {
	q.t.Helper()
	q.attempts.Wait()
	for i, w := range want {
		if r := q.results[i]; r.Status != w {
			q.t.Errorf("attempt %d: %q %s, want %q", i+1, r.Status, r.Reason, w)
		}
	}
}

const unbegun = task.Outcome("")

// hold is a script that keeps a line waiting, but not for long enough to be shown, until the file is there.
func hold(file string) string { return "until [ -e " + file + " ]; do :; done" }

func TestLineOfShortAttempts(t *testing.T) {
	q := newQueue(t)
	log := filepath.Join(t.TempDir(), "log")
	const most = 60
	for n := range most { // behind one that lasts, later ones are not begun, and run again
		for tries := 0; ; tries++ {
			q.add(t.Context(), attempt(t, "shell", task.Shell{Script: fmt.Sprintf("echo %d >>%s; echo out %d; echo err %d >&2", n, log, n, n)}))
			q.mu.Lock()
			again := q.results[len(q.results)-1].Status == ""
			q.mu.Unlock()
			if !again {
				break
			}
		}
	}
	q.attempts.Wait()
	completed := 0
	for i, r := range q.results {
		switch {
		case r.Status == task.AttemptCompleted:
			completed++
			if p := q.printed[i]; !strings.Contains(p, "out ") || !strings.Contains(p, "err ") { // in any order, where it lasted long enough to be shown
				t.Errorf("attempt %d printed %q", i+1, p)
			}
			if r.Wall <= 0 || r.Wall > 5 {
				t.Errorf("attempt %d took %v s", i+1, r.Wall)
			}
		case r.Status != unbegun:
			t.Errorf("attempt %d: %+v", i+1, r)
		}
	}
	text, err := os.ReadFile(log)
	if ran := strings.Count(string(text), "\n"); err != nil || ran != completed || completed == 0 {
		t.Errorf("%d ran and %d completed: %v", ran, completed, err)
	}
	if n := len(q.slots.idle) + len(q.slots.working); n != 1 {
		t.Errorf("%d helpers for one slot", n)
	}
}

// What an attempt prints arrives whole, however much it is.
func TestLineOfLongOutput(t *testing.T) {
	q := newQueue(t)
	sizes := []int{0, 1, mostShort, mostShort + 1, 60000, 300000}
	for _, n := range sizes {
		for {
			q.sh(fmt.Sprintf("head -c %d /dev/zero", n))
			q.attempts.Wait()
			if last := len(q.results) - 1; q.results[last].Status == task.AttemptCompleted {
				if got := len(q.printed[last]); got != n {
					t.Errorf("%d bytes arrived of %d", got, n)
				}
				break
			}
		}
	}
}

func TestNobodyWaitsBehindWhatRunsOn(t *testing.T) {
	q := newQueue(t)
	ran := filepath.Join(t.TempDir(), "ran")
	seen := make(chan string, 8)
	first := attempt(t, "shell", task.Shell{Script: "echo begun; sleep 60"})
	first.Lined, first.Begun = true, func() { seen <- "begun" }
	ctx, end := context.WithCancel(t.Context())
	var r task.Result
	var over sync.WaitGroup
	over.Go(func() { r = q.Run(ctx, first, func(_ task.Stream, data []byte) { seen <- string(data) }) })
	for q.held() == 0 {
		time.Sleep(10 * time.Microsecond)
	}
	q.sh("touch " + ran)
	q.sh("touch " + ran)
	q.want(unbegun, unbegun)
	for _, want := range []string{"begun", "begun\n"} {
		if got := <-seen; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	q.sh("touch " + ran) // nor is anything lined up then
	q.want(unbegun, unbegun, unbegun)
	end()
	over.Wait()
	check(t, r, task.AttemptCancelled, -1, "cancelled")
	if _, err := os.Stat(ran); err == nil {
		t.Error("one of them ran all the same")
	}
	q.sh("true")
	q.want(unbegun, unbegun, unbegun, task.AttemptCompleted)
}

// One that is cancelled while it waits never runs, and one whose time to begin is over neither.
func TestLineNotBegun(t *testing.T) {
	q := newQueue(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for {
		q.sh(hold(file("go")))
		ctx, cancel := context.WithCancel(t.Context())
		q.add(ctx, attempt(t, "shell", task.Shell{Script: "touch " + file("ran")}))
		late := attempt(t, "shell", task.Shell{Script: "touch " + file("late")})
		late.BeginBy = 1
		q.add(t.Context(), late)
		cancel()
		os.WriteFile(file("go"), nil, 0o600)
		q.attempts.Wait()
		os.Remove(file("go"))
		if _, err := os.Stat(file("late")); err == nil {
			t.Fatal("what was not to be begun ran")
		}
		_, err := os.Stat(file("ran"))
		os.Remove(file("ran"))
		n := len(q.results)
		if q.results[n-3].Status == task.AttemptCompleted && q.results[n-2].Status == task.AttemptCancelled && err != nil {
			return // unless it had begun when it was cancelled
		}
	}
}

// A helper that is killed takes with it what it ran. What was over by then is not lost, and what waited can begin elsewhere.
func TestLineOfKilledHelper(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go")
	for {
		q := newQueue(t)
		q.sh(hold(file))
		q.sh("kill -9 $PPID; sleep 60")
		q.sh("true")
		q.sh("true")
		os.WriteFile(file, nil, 0o600)
		q.attempts.Wait()
		os.Remove(file)
		q.want(task.AttemptCompleted)
		if q.results[1].Status == unbegun { // the first one was shown
			continue
		}
		q.want(task.AttemptCompleted, task.AttemptLost, unbegun, unbegun)
		q.sh("true")
		q.want(task.AttemptCompleted, task.AttemptLost, unbegun, unbegun, task.AttemptCompleted)
		return
	}
}

// A helper that was stopped goes on before long, though nobody wants any of its attempts to end.
func TestLineOfStoppedHelper(t *testing.T) {
	q := newQueue(t)
	quick(t, func() {
		q.sh("kill -STOP $PPID")
		q.sh("true")
		q.attempts.Wait()
	})
	if r := q.results[0]; r.Status != task.AttemptCompleted {
		t.Errorf("%+v", r)
	}
	if r := q.results[1]; r.Status != task.AttemptCompleted && r.Status != unbegun {
		t.Errorf("%+v", r)
	}
}

// The time limit of an attempt begins when it does.
func TestLineAndTimeout(t *testing.T) {
	q := newQueue(t)
	a := attempt(t, "shell", task.Shell{Script: "sleep 60"})
	a.Spec.Timeout = 0.1
	file := filepath.Join(t.TempDir(), "go")
	for begun := false; !begun; begun = q.results[len(q.results)-1].Status != unbegun {
		q.sh(hold(file))
		q.add(t.Context(), a)
		for begin := time.Now(); time.Since(begin) < 4*time.Millisecond; { // so much it waits in line, unless it is given up
			time.Sleep(100 * time.Microsecond)
		}
		os.WriteFile(file, nil, 0o600)
		q.attempts.Wait()
		os.Remove(file)
	}
	if r := q.results[len(q.results)-1]; r.Status != task.AttemptTimedOut || r.Wall < a.Spec.Timeout {
		t.Errorf("%+v", r)
	}
}

// inLine is the helper of a queue, and how many attempts it holds that wait or run.
func (q *queue) inLine() (s *slot, n int) {
	q.slots.mu.Lock()
	defer q.slots.mu.Unlock()
	if len(q.slots.working) == 0 {
		return nil, 0
	}
	n, _ = q.slots.working[0].waiting()
	return q.slots.working[0], n
}

// again forgets what was run.
func (q *queue) again() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.results, q.printed = nil, nil
}

// What is printed at length takes another way to the host than what is not, and is not overtaken.
func TestLineKeepsItsOrder(t *testing.T) {
	q := newQueue(t)
	dir := t.TempDir()
	file, log := filepath.Join(dir, "go"), filepath.Join(dir, "log")
	for proven := 0; proven < 3; q.again() {
		os.Remove(log)
		q.sh(hold(file))
		q.sh("head -c 5000 /dev/zero; echo 2 >>" + log)
		for n := 3; n < 8; n++ {
			q.sh(fmt.Sprintf("echo %d >>%s", n, log))
		}
		q.slots.mu.Lock() // the host is busy, and hears of all of them at once
		os.WriteFile(file, nil, 0o600)
		for begin := time.Now(); time.Since(begin) < 60*time.Millisecond; {
			time.Sleep(time.Millisecond)
		}
		q.slots.mu.Unlock()
		q.attempts.Wait()
		os.Remove(file)
		text, _ := os.ReadFile(log)
		for n := 2; n < 8; n++ {
			ran := strings.Contains(string(text), fmt.Sprintln(n))
			if r := q.results[n-1]; ran && r.Status != task.AttemptCompleted {
				t.Fatalf("attempt %d ran and is %q %s", n, r.Status, r.Reason)
			} else if ran {
				proven++
			}
		}
	}
}

// A host without a descriptor left loses what is printed, and nothing else.
func TestShownWithoutDescriptors(t *testing.T) {
	q := newQueue(t)
	q.sh("true")
	q.attempts.Wait()
	q.again()
	q.sh("sleep 0.3; head -c 300000 /dev/zero; echo err >&2")
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max})
	for s, n := q.inLine(); n > 0; _, n = q.inLine() {
		s.mu.Lock()
		long := s.long
		s.mu.Unlock()
		if long {
			break
		}
		time.Sleep(time.Millisecond)
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	q.want(task.AttemptCompleted)
	if r := q.results[0].Reason; !strings.Contains(r, "too many files open") {
		t.Errorf("%q", r)
	}
}

// A program whose file is slow to open is waited for: its helper is not taken for one that was stopped.
func TestSlowToOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	program := filepath.Join(t.TempDir(), "program")
	text, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip("no /bin/true here")
	}
	if err := os.WriteFile(program, text, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("this file system has no leases:", err)
	}
	time.AfterFunc((guardMost+4)*guardEvery, func() { f.Close() })
	check(t, b.Run(t.Context(), attempt(t, "command", task.Command{Argv: []string{program}}), b.sink), task.AttemptCompleted, 0, "")
}

// An attempt that has a slot to itself has it, whoever comes first.
func TestNoMoreThanSlots(t *testing.T) {
	for range 20 {
		q := newQueue(t)
		ctx, end := context.WithCancel(t.Context())
		own := attempt(t, "shell", task.Shell{Script: "sleep 60"})
		q.Admit(&own)
		q.sh("sleep 0.001") // comes first, and has to wait for it
		q.want(unbegun)
		q.attempts.Go(func() { q.Run(ctx, own, func(task.Stream, []byte) {}) })
		for n := 0; n == 0; _, n = q.inLine() {
			time.Sleep(10 * time.Microsecond)
		}
		q.sh("true")
		if n := len(q.slots.working); n != 1 {
			t.Errorf("%d helpers work", n)
		}
		end()
		q.attempts.Wait()
	}
}

// Nobody waits in the line of a helper that was taken for another attempt.
func TestNobodyJoinsBeforeTheFirst(t *testing.T) {
	b := newBench(t, Options{Slots: 1})
	made := func(lined bool) *launch {
		return &launch{path: "/bin/sh", argv: []string{"sh", "-c", "true"}, environ: func(string) []string { return nil }, lined: lined}
	}
	s, _, err := b.slots.place(made(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.start(made(true)); err != errNoLine {
		t.Errorf("%v", err)
	}
	r, err := s.launch(made(false))
	if err != nil {
		t.Fatal(err)
	}
	if e := <-r.gone(); e.unbegun || e.code != 0 {
		t.Errorf("%+v", e)
	}
}

// A helper is nobody else's before the one that has it is done with its launch, even if what it launched is over by then: the next would be overtaken.
func TestHelperIsKeptUntilLaunched(t *testing.T) {
	b := newBench(t, Options{Slots: 1})
	l := &launch{path: "/bin/sh", argv: []string{"sh", "-c", "true"}, dir: t.TempDir()}
	s, _, err := b.slots.place(l)
	if err != nil {
		t.Fatal(err)
	}
	r, message, err := s.begin(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := send(s.launches, message, nil); err != nil {
		t.Fatal(err)
	}
	<-r.gone()
	if len(b.slots.idle) != 0 || len(b.slots.working) != 1 {
		t.Error("another could take it")
	}
	s.launched(r, false, nil)
	s.pool.give(s)
	if len(b.slots.idle) != 1 || len(b.slots.working) != 0 {
		t.Error("it is lost")
	}
}

// Systems give small pipes to who has many.
func TestSmallPipe(t *testing.T) {
	q := newQueue(t)
	q.sh("true")
	q.attempts.Wait()
	if _, err := unix.FcntlInt(uintptr(q.slots.idle[0].verdicts), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Skip(err)
	}
	for range 10 {
		q.again()
		for range 16 {
			q.add(t.Context(), attempt(t, "command", task.Command{Argv: []string{"printf", "%02000d", "1"}}))
		}
		q.attempts.Wait()
		for i, r := range q.results {
			if r.Status != task.AttemptCompleted && r.Status != unbegun {
				t.Fatalf("attempt %d: %q %s", i+1, r.Status, r.Reason)
			}
		}
	}
}

// What waits in line is not begun after the host is gone.
func TestLineEndsWithTheHost(t *testing.T) {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "go"), filepath.Join(dir, "log")
	for proven := 0; proven < 4; os.Remove(file) {
		q := newQueue(t)
		q.sh(hold(file))
		for range 6 {
			q.sh("echo >>" + log)
		}
		s, n := q.inLine()
		if n == 7 { // none was shown
			syscall.Kill(s.pid, syscall.SIGSTOP)
		}
		os.WriteFile(file, nil, 0o600)
		if n == 7 {
			os.Remove(log)
			for len(descendants(s.pid)) > 0 { // until the first is over
				time.Sleep(time.Millisecond)
			}
			s.close() // as when the host is killed: both sockets end
			syscall.Kill(s.pid, syscall.SIGCONT)
			proven++
		}
		q.attempts.Wait()
		if text, _ := os.ReadFile(log); n == 7 && len(text) > 0 {
			t.Fatalf("%d were begun after it", len(text))
		}
	}
}
