package executor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
			again := q.results[len(q.results)-1] == (task.Result{})
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
			if p := q.printed[i]; !strings.HasPrefix(p, "out ") || !strings.Contains(p, "err ") {
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
		late.BeginWithin = -1
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
	a.Spec.Timeout = 0.3
	began := time.Now()
	for begun := false; !begun; begun = q.results[len(q.results)-1].Status != unbegun {
		q.sh("true")
		began = time.Now()
		q.add(t.Context(), a)
		q.attempts.Wait()
	}
	if r := q.results[len(q.results)-1]; r.Status != task.AttemptTimedOut {
		t.Errorf("%+v", r)
	}
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("it was ended after %v", d)
	}
}
