//go:build linux && cgo

package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// shell is a task of a script.
func shell(script string) task.Spec {
	b, err := json.Marshal(task.Shell{Script: script})
	if err != nil {
		panic(err)
	}
	return task.Spec{Type: "shell", Payload: b, Retries: 0}
}

// nobodys is a task that no device will take: it stays in the queue, to be cancelled.
func nobodys(size int) task.Spec {
	s := echo(strings.Repeat("n", size))
	s.Requirements.Device = "nobody"
	return s
}

// printed is how much the tasks print whose results come in while the disk is full.
const printed = 40_000

// fullDisk is a main node on a small disk, with a worker elsewhere.
type fullDisk struct {
	t      *testing.T
	y      *tally
	disk   string
	dir    string // on it
	filler string // takes room that can be given back
	book   *ledger
	main   *daemon
	c      *client.Client
	ran    []task.ID // tasks that run, and whose results are wanted
}

// testFull fills the disk while results come in. Submissions are refused, results and cancels are recorded as long as what was set aside for
// them lasts, and then the worker keeps what it is not told to be recorded. When there is room again all of it goes on by itself.
func testFull(t *testing.T, y *tally) {
	f := &fullDisk{t: t, y: y, disk: mounted(t, 40), book: newLedger()}
	y.faults.Add(1)
	f.dir, f.filler = filepath.Join(f.disk, "main"), filepath.Join(f.disk, "filler")
	if err := os.WriteFile(f.filler, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start()
	w := workerd(t, filepath.Join(t.TempDir(), "worker"), f.dir)
	f.story()
	if !t.Failed() {
		f.ends(w, 0)
		f.ends(f.main, 0)
	}
	f.c.Close()
	f.main.kill()
	os.Remove(f.filler)
	y.judgeStart(t, "full", f.dir, f.book)
}

// story is what happens, as far as it goes well.
func (f *fullDisk) story() {
	f.submitRunning(number(150, 60))
	for _, chapter := range []func(){f.load, f.refusedCommand, f.cancels, f.withheld, f.recovers} {
		if chapter(); f.main.over() || f.t.Failed() {
			return
		}
	}
	f.y.fired.Add(1)
}

// ends asks a daemon to end, as it should be able to.
func (f *fullDisk) ends(d *daemon, want int) {
	f.t.Helper()
	if status, err := d.stop(); status != want || err != nil {
		f.y.blame(f.t, &f.y.wrongStatus, "full", "%s ended with %d %v\n%s", filepath.Base(d.cmd.Path), status, err, d.said.String())
	}
}

func (f *fullDisk) start() {
	f.t.Helper()
	var err error
	if f.main, err = mained(f.t, f.dir); err == nil && !f.main.over() {
		f.c, err = connect(f.dir)
	}
	if err != nil || f.main.over() {
		f.t.Fatalf("%v\n%s", err, f.main.said.String())
	}
}

// submitRunning submits tasks that go on ending while the disk becomes full and is.
func (f *fullDisk) submitRunning(n int) {
	f.t.Helper()
	before := f.book.len()
	specs := make([]task.Spec, n)
	for i := range specs {
		specs[i] = shell(fmt.Sprintf("sleep 0.02; head -c %d /dev/zero | tr '\\0' x", printed))
	}
	if err := f.book.submit(f.main.ctx, f.c, specs...); err != nil {
		f.t.Fatal(err)
	}
	f.ran = f.book.order[before:]
}

// load submits until the disk is full.
func (f *fullDisk) load() {
	f.t.Helper()
	for range 2000 {
		err := f.book.submit(f.main.ctx, f.c, nobodys(50_000), nobodys(50_000))
		switch {
		case errors.Is(err, wire.ErrStorageFull):
			return
		case err != nil:
			f.over("while the disk became full", err)
			return
		}
	}
	f.t.Error("the disk does not become full")
}

// over blames the main node for an error, perhaps that of its end.
func (f *fullDisk) over(when string, err error) {
	f.t.Helper()
	if f.main.over() {
		f.y.blame(f.t, &f.y.wrongStatus, "full", "ended with %d %s:\n%s", f.main.status(), when, f.main.said.String())
		return
	}
	f.t.Errorf("full: %s: %v\n%s", when, err, f.main.said.String())
}

// refusedCommand looks at what a user is told.
func (f *fullDisk) refusedCommand() {
	f.t.Helper()
	cmd := exec.Command(program(f.t, "rc-submit"), "--device=nobody", "--", "echo", strings.Repeat("n", 50_000))
	cmd.Env = append(os.Environ(), "RC_DATA="+f.dir)
	status, said, err := statusOf(cmd)
	if err != nil || status != 75 || !strings.Contains(said, "full") {
		f.y.blame(f.t, &f.y.wrongStatus, "full", "rc-submit ended with %d (%v), and said: %s", status, err, said)
	}
}

// cancels cancels what no device takes, while results are recorded beside it.
func (f *fullDisk) cancels() {
	f.t.Helper()
	done := 0
	for range 10 {
		id, ok := f.book.open(0)
		if !ok {
			break
		}
		if err := f.book.cancel(f.main.ctx, f.c, id); err != nil {
			if f.main.over() || !errors.Is(err, wire.ErrStorageFull) {
				f.over("when a task was cancelled", err)
			}
			break
		}
		done++
	}
	if done == 0 {
		f.t.Error("full: no cancel was recorded, though something is set aside for them")
	}
}

// withheld waits until no result is recorded any more: all of them are, or what was set aside is used up.
func (f *fullDisk) withheld() {
	f.t.Helper()
	last, since := -1, time.Now()
	for deadline := time.Now().Add(patience); time.Since(since) < time.Second && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := f.book.look(f.main.ctx, f.c); err != nil {
			f.over("while results came in", err)
			return
		}
		if n := f.completed(); n != last {
			last, since = n, time.Now()
		}
	}
	f.t.Logf("of %d results %d were recorded while the disk was full; %d tasks acknowledged", len(f.ran), last, f.book.len())
}

func (f *fullDisk) completed() (n int) {
	f.book.mu.Lock()
	defer f.book.mu.Unlock()
	for _, id := range f.ran {
		if f.book.tasks[id] == task.Completed {
			n++
		}
	}
	return n
}

// recovers makes room, and waits until everything goes on.
func (f *fullDisk) recovers() {
	f.t.Helper()
	if err := os.Remove(f.filler); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.main.ctx, patience)
	defer cancel()
	for err := errors.New(""); err != nil; time.Sleep(10 * time.Millisecond) {
		if err = f.book.submit(ctx, f.c, nobodys(50_000)); err != nil && !errors.Is(err, wire.ErrStorageFull) {
			f.over("when there was room again", err)
			return
		}
	}
	for f.completed() < len(f.ran) {
		if err := f.book.look(ctx, f.c); err != nil {
			f.over(fmt.Sprintf("when there was room again, with %d of %d results", f.completed(), len(f.ran)), err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	for t, err := range f.c.Tasks(ctx, wire.ListTasks{Filter: wire.TaskFilter{Tasks: f.ran}}) {
		if err != nil || t.Output != printed || t.Attempt != 1 {
			f.t.Errorf("full: %s printed %d bytes in attempt %d, wanted %d in the first (%v)", t.ID, t.Output, t.Attempt, printed, err)
		}
	}
}

// testFullStart starts a main node where there is little or no room. It says so, or serves what it has; it does not begin with nothing.
func testFullStart(t *testing.T, y *tally) {
	disk := mounted(t, 24)
	dir := filepath.Join(disk, "main")
	for _, room := range []int64{0, 4, 8, 12, 16, 20, 24, 28, 32, 40}[:number(10, 5)] {
		what := fmt.Sprintf("start with %d KiB", room)
		y.faults.Add(1)
		book := makePast(t, dir)
		filler := fill(t, disk, room)
		d, err := mained(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if !d.over() {
			servesWhatItHas(t, y, d, dir, book)
			d.kill()
		} else if s := d.status(); s != 75 || !strings.HasPrefix(d.lastWords(), "rc-mained: ") {
			y.blame(t, &y.wrongStatus, what, "ended with %d\n%s", s, d.said.String())
		}
		t.Logf("%s: %s", what, d.lastWords())
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		y.fired.Add(1)
		y.judgeStart(t, what, dir, book)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func servesWhatItHas(t *testing.T, y *tally, d *daemon, dir string, book *ledger) {
	t.Helper()
	c, err := connect(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wrong, empty, err := book.missing(d.ctx, c)
	if err != nil {
		t.Errorf("full at start: %v", err)
	}
	if empty || len(wrong) > 0 {
		y.blame(t, &y.emptyStarts, "full at start", "it serves without what it has: %v", wrong)
	}
}

// testSpool fills the disk of a worker. What runs ends, and its result is told from memory.
func testSpool(t *testing.T, y *tally) {
	disk := mounted(t, 8)
	y.faults.Add(1)
	dir, book := filepath.Join(t.TempDir(), "main"), newLedger()
	d, err := mained(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.said.String())
	}
	defer c.Close()
	w := workerd(t, filepath.Join(disk, "worker"), dir)
	gate := filepath.Join(t.TempDir(), "gate")
	waits := fmt.Sprintf("until [ -e %s ]; do sleep 0.02; done; head -c %d /dev/zero | tr '\\0' x; exit 3", gate, printed)
	if err := book.submit(d.ctx, c, shell(waits), shell(waits)); err != nil {
		t.Fatal(err)
	}
	running := func() bool { return count(t, d, c, task.Running) == 2 }
	if ok, err := d.until("two tasks that run", running); !ok || err != nil {
		t.Fatalf("%v\n%s\n%s", err, d.said.String(), w.said.String())
	}
	filler := fill(t, disk, 0)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	y.fired.Add(1)
	if ok, err := d.until("two results", func() bool { return count(t, d, c, task.Failed) == 2 }); !ok || err != nil {
		t.Fatalf("%v\n%s", err, w.said.String())
	}
	for x, err := range c.Tasks(d.ctx, wire.ListTasks{}) {
		if err != nil || x.ExitCode == nil || *x.ExitCode != 3 || x.Output != printed || x.Attempt != 1 {
			t.Errorf("spool: %s in attempt %d printed %d bytes, exit status %v (%s, %v)", x.ID, x.Attempt, x.Output, x.ExitCode, x.Reason, err)
		}
	}
	if w.over() {
		y.blame(t, &y.wrongStatus, "spool", "the worker ended with %d\n%s", w.status(), w.said.String())
	}
	os.Remove(filler)
	if err := book.submit(d.ctx, c, echo("again")); err != nil {
		t.Fatal(err)
	}
	if ok, err := d.until("a task to be completed when there was room again", func() bool { return count(t, d, c, task.Completed) == 1 }); !ok || err != nil {
		t.Errorf("%v\n%s", err, w.said.String())
	}
	book.look(d.ctx, c)
	d.kill()
	y.judgeStart(t, "spool", dir, book)
}

// count is how many tasks are in a state.
func count(t *testing.T, d *daemon, c *client.Client, s task.State) int {
	t.Helper()
	n := 0
	for _, err := range c.Tasks(d.ctx, wire.ListTasks{Filter: wire.TaskFilter{States: []task.State{s}}}) {
		if err != nil {
			t.Fatalf("list tasks: %v", err)
		}
		n++
	}
	return n
}
