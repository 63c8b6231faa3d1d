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
	"slices"
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

// slots are those of a worker: so many tasks run at a time.
const slots = 4

// little is how much the two tasks print whose results find room in what is set aside.
const little = 20_000

// fullDisk is a main node on a disk that becomes full, with a worker elsewhere.
type fullDisk struct {
	t       *testing.T
	y       *tally
	disk    string
	prints  int  // how much each of the tasks prints that run meanwhile: together more than what is set aside, which is a fiftieth of the disk
	reserve bool // what is set aside must be enough to record something

	dir    string // on it
	filler string // takes room that can be given back
	book   *ledger
	main   *daemon
	c      *client.Client
	ran    []task.ID // tasks that run, and whose results are wanted
	gate   string    // a file that those wait for; with .first behind it, the first two of them
}

// testFull fills a disk while results come in. Submissions are refused, results and cancels are recorded as long as what was set aside for
// them lasts, and then the worker keeps what it is not told to be recorded. When there is room again all of it goes on by itself.
func testFull(t *testing.T, y *tally) {
	(&fullDisk{t: t, y: y, disk: mounted(t, 320), prints: 8_000_000, reserve: true}).test(20 << 20)
}

// testFullSmall does so on a disk so small that the least is set aside.
func testFullSmall(t *testing.T, y *tally) {
	if !full() {
		t.Skip("this is a part of the whole proof, RC_PROVE=full")
	}
	(&fullDisk{t: t, y: y, disk: mounted(t, 64), prints: 7_000_000}).test(22 << 20)
}

// test runs the story with so much room to be filled.
func (f *fullDisk) test(room int64) {
	f.t.Helper()
	t, y := f.t, f.y
	y.faults.Add(1)
	f.dir, f.book, f.gate = filepath.Join(f.disk, "main"), newLedger(), filepath.Join(t.TempDir(), "gate")
	f.filler = fill(t, f.disk, room>>10)
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
	for _, chapter := range []func(){f.submitRunning, f.load, f.cancels, f.refusedCommand, f.recorded, f.withheld, f.recovers} {
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

// submitRunning submits tasks that will end while the disk is full, and waits until as many run as can.
func (f *fullDisk) submitRunning() {
	f.t.Helper()
	specs := make([]task.Spec, slots+2)
	for i := range specs {
		specs[i] = printing(f.gate, f.prints)
	}
	specs[0], specs[1] = printing(f.gate+".first", little), printing(f.gate+".first", little)
	if err := f.book.submit(f.main.ctx, f.c, specs...); err != nil {
		f.t.Fatal(err)
	}
	f.ran = f.book.order[:len(specs):len(specs)]
	if ok, err := f.main.until("tasks that run", func() bool { return count(f.t, f.main, f.c, task.Running) == slots }); !ok || err != nil {
		f.over("when tasks were to run", err)
	}
}

// printing is a task that waits for a file, then prints so many bytes and fails.
func printing(gate string, n int) task.Spec {
	return shell(fmt.Sprintf("until [ -e %s ]; do sleep 0.02; done; head -c %d /dev/zero | tr '\\0' x; exit 3", gate, n))
}

// load submits until the disk is full.
func (f *fullDisk) load() {
	f.t.Helper()
	for range 2000 {
		err := f.book.submit(f.main.ctx, f.c, nobodys(200_000))
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
	done, refused := 0, error(nil)
	for range 10 {
		id, ok := f.book.open(0)
		if !ok {
			break
		}
		ctx, cancel := context.WithTimeout(f.main.ctx, time.Second)
		err := f.book.cancel(ctx, f.c, id)
		if cancel(); f.main.over() {
			f.over("when a task was cancelled", err)
			return
		}
		if refused = err; err != nil { // what is set aside is used up
			break
		}
		done++
	}
	if done == 0 && f.reserve {
		f.t.Errorf("full: no cancel was recorded, though something is set aside for them: %v\n%s", refused, f.main.said.String())
	}
}

// recorded lets two results come that find room.
func (f *fullDisk) recorded() {
	f.t.Helper()
	if err := os.WriteFile(f.gate+".first", nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if !f.reserve {
		return
	}
	is := func() bool { return f.book.look(f.main.ctx, f.c) == nil && f.completed() == 2 }
	if ok, err := f.main.until("two results, while the disk was full", is); !ok || err != nil {
		f.over("when results came for which something is set aside", err)
	}
}

// withheld waits until no result is recorded any more: all of them are, or what was set aside is used up.
func (f *fullDisk) withheld() {
	f.t.Helper()
	if err := os.WriteFile(f.gate, nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
	last, since := -1, time.Now()
	for deadline := time.Now().Add(patience); time.Since(since) < time.Second && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := f.book.look(f.main.ctx, f.c); f.main.over() {
			f.over("while results came in", err)
			return
		}
		if n := f.completed(); n != last {
			last, since = n, time.Now()
		}
	}
	f.t.Logf("of %d results %d were recorded while the disk was full; %d tasks acknowledged", len(f.ran), last, f.book.len())
	if last >= slots {
		f.t.Errorf("full: all results found room: this test does not see what happens when what is set aside is used up")
	}
}

// completed is how many of the results are recorded.
func (f *fullDisk) completed() (n int) {
	f.book.mu.Lock()
	defer f.book.mu.Unlock()
	for _, id := range f.ran {
		if f.book.tasks[id] == task.Failed {
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
		if err = f.book.submit(ctx, f.c, nobodys(200_000)); ctx.Err() != nil {
			f.over("when there was room again", err)
			return
		}
	}
	for f.completed() < len(f.ran) {
		if err := f.book.look(ctx, f.c); ctx.Err() != nil {
			f.over(fmt.Sprintf("when there was room again, with %d of %d results", f.completed(), len(f.ran)), err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	for t, err := range f.c.Tasks(ctx, wire.ListTasks{Filter: wire.TaskFilter{Tasks: f.ran}}) {
		want := int64(f.prints)
		if slices.Index(f.ran, t.ID) < 2 {
			want = little
		}
		if err != nil || t.Output != want || t.Attempt != 1 {
			f.t.Errorf("full: %s printed %d bytes in attempt %d, wanted %d in the first (%v)", t.ID, t.Output, t.Attempt, want, err)
		}
	}
}

// testFullStart starts a main node where there is little or no room. It says so, or serves what it has; it does not begin with nothing.
func testFullStart(t *testing.T, y *tally) {
	disk := mounted(t, 24)
	dir := filepath.Join(disk, "main")
	for _, room := range []int64{0, 4, 8, 12, 16, 20, 24, 28, 32, 40}[:number(10, 3)] {
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
	const printed = 600_000
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
	if err := book.submit(d.ctx, c, printing(gate, printed), printing(gate, printed)); err != nil {
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
