//go:build linux && cgo

package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/store"
)

// TestPowerCut cuts the power while the store is written to. Whatever was acknowledged before must be there, each batch whole or not at all,
// and nothing that nobody wrote. The control does the same with synchronous=NORMAL, which acknowledges before the disk has it: most of its
// images must have lost something, or the test would not see it in ours either.
func TestPowerCut(t *testing.T) {
	seed := theSeed(t)
	images, controls := number(20_000, 300), number(2_000, 100)
	traces := number(4, 1)
	var ours, control verdict
	for i := range traces {
		cuts := record(t, seed+uint64(i), false)
		ours.add(cuts.judge(t, images/traces))
	}
	cuts := record(t, seed, true)
	control.add(cuts.judge(t, controls))
	share := 100 * control.lost.Load() / int64(controls)
	fmt.Printf("LANE powercut seed=%d images=%d lost=%d corrupt=%d control_images=%d control_lost=%d%% control_corrupt=%d\n",
		seed, images, ours.lost.Load(), ours.corrupt.Load(), controls, share, control.corrupt.Load())
	if ours.lost.Load()+ours.corrupt.Load()+control.corrupt.Load() > 0 {
		t.Error("a power cut lost what was acknowledged")
	}
	if share < 50 {
		t.Errorf("the control lost something in %d %% of its images only: this test does not see losses", share)
	}
}

// recording is a trace, and what the database was after each step.
type recording struct {
	ops   []op
	after []int64 // digests, by step
	first uint64
	// control says that losses are expected: they are counted, and not told one by one.
	control bool
}

// The last of a writer's lives has the settings of the main node, and so many steps that SQLite writes back what is in the log by itself. In
// those before it that happens after fewer pages: the smaller the files, the more images.
const (
	shortLives = 4
	shortLife  = 30
	longLife   = 120
)

// record lets a writer live several times, and reads what disk.so saw of it.
func record(t *testing.T, seed uint64, normal bool) *recording {
	t.Helper()
	dir := memory(t)
	data, trace := filepath.Join(dir, "data"), filepath.Join(dir, "trace")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	lives := []life{{Checkpoint: 30}, {Checkpoint: 60, Leave: true}, {Checkpoint: 30, Leave: true}, {Checkpoint: 100}, {}}
	for i, l := range lives {
		l.Path, l.Seed = filepath.Join(data, "cluster.db"), seed
		if l.Normal = normal; normal {
			l.Checkpoint = 0
		}
		l.First = i * shortLife
		l.Last = l.First + shortLife - 1
		if i == shortLives {
			l.Last = l.First + longLife
		}
		if err := l.start(library(t), trace); err != nil {
			t.Fatal(err)
		}
	}
	ops, err := readTrace(trace)
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{ops: ops, first: seed, control: normal}
	for _, o := range ops {
		if o.kind == "done" {
			r.after = append(r.after, o.sum)
		}
	}
	r.check(t)
	return r
}

// check sees to it that the trace holds what the images are for.
func (r *recording) check(t *testing.T) {
	t.Helper()
	many := map[string]int{}
	for _, o := range r.ops {
		many[o.kind+" "+o.file]++
	}
	t.Log(len(r.ops), "calls:", many)
	for _, want := range []string{"write cluster.db", "write cluster.db-wal", "sync cluster.db", "sync cluster.db-wal", "sync .", "unlink cluster.db-wal", "truncate cluster.db"} {
		if many[want] == 0 {
			t.Fatalf("no call was seen that is a %q: SQLite does not go through disk.so, or not as it did", want)
		}
	}
	if d := slices.Compact(slices.Clone(r.after)); len(d) < len(r.after)*8/10 {
		t.Fatalf("%d steps left only %d different databases", len(r.after), len(d))
	}
}

// verdict counts what became of images.
type verdict struct{ lost, corrupt atomic.Int64 }

func (v *verdict) add(w *verdict) {
	v.lost.Add(w.lost.Load())
	v.corrupt.Add(w.corrupt.Load())
}

// judge makes images, by two processors, and looks at each.
func (r *recording) judge(t *testing.T, images int) *verdict {
	t.Helper()
	v := new(verdict)
	dir := memory(t)
	var both sync.WaitGroup
	for half := range 2 {
		both.Go(func() {
			if err := r.half(filepath.Join(dir, fmt.Sprint(half)), half, images, t, v); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	return v
}

// half looks at every second image. It goes through the trace once, and stops where the power is cut.
func (r *recording) half(dir string, half, images int, t *testing.T, v *verdict) error {
	var cuts []cut
	for i := half; i < images; i += 2 {
		random := rand.New(rand.NewPCG(r.first, uint64(i)))
		cuts = append(cuts, cut{i, random.IntN(1 + r.until(random)), random})
	}
	slices.SortFunc(cuts, func(a, b cut) int { return a.at - b.at })
	d, at, begun, acked := newDisk(), 0, -1, -1
	for _, c := range cuts {
		for ; at < c.at; at++ {
			o := &r.ops[at]
			switch o.kind {
			case "begin":
				begun = int(o.at)
			case "done":
				acked = int(o.at)
			}
			if err := d.do(o); err != nil {
				return err
			}
		}
		if err := c.image(d, dir); err != nil {
			return err
		}
		got, err := opened(filepath.Join(dir, "cluster.db"))
		if why := r.wrong(got, err, acked, begun, v); why != "" && !r.control {
			t.Logf("image %d, cut before call %d (%s %s), steps acknowledged %d, begun %d: %s", c.number, c.at, r.kindAt(c.at), r.fileAt(c.at), acked, begun, why)
		}
	}
	return nil
}

// until chooses the calls among which the power is cut: those of the first start are few, and those of the last life many and slow to look at.
func (r *recording) until(random *rand.Rand) int {
	switch n := random.IntN(20); {
	case n == 0:
		return r.step(0)
	case n < 16:
		return r.step(shortLives * shortLife)
	}
	return len(r.ops)
}

// step is the call before which a step begins.
func (r *recording) step(n int) int {
	return slices.IndexFunc(r.ops, func(o op) bool { return o.kind == "begin" && int(o.at) == n })
}

// cut is where the power fails, and how.
type cut struct {
	number, at int
	random     *rand.Rand
}

func (c cut) image(d *disk, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := d.leave(dir, newLuck(c.random)); err != nil {
		return err
	}
	return c.index(filepath.Join(dir, "cluster.db-shm"))
}

// index leaves an index of the log sometimes. It is memory that has a name: nobody flushes it, and anything may stand in it.
func (c cut) index(path string) error {
	if c.random.IntN(8) > 0 {
		return nil
	}
	b := make([]byte, 32<<10)
	for i := range b {
		b[i] = byte(c.random.Uint32())
	}
	return os.WriteFile(path, b, 0o600)
}

// wrong judges an image. Before the first step the database need not be there; the store makes one then.
func (r *recording) wrong(got int64, err error, acked, begun int, v *verdict) string {
	if r.control && errors.Is(err, store.ErrDamaged) { // a log with a hole in it, which the store does not take for a short one
		v.lost.Add(1)
		return err.Error()
	}
	if err != nil {
		v.corrupt.Add(1)
		return err.Error()
	}
	if slices.Contains(r.after[max(acked, 0):max(begun, 0)+1], got) {
		return ""
	}
	if step := slices.Index(r.after, got); step >= 0 {
		v.lost.Add(1)
		return fmt.Sprintf("it is as after step %d", step)
	}
	v.corrupt.Add(1)
	return "it is as it never was"
}

func (r *recording) kindAt(i int) string {
	if i < len(r.ops) {
		return r.ops[i].kind
	}
	return "end"
}

func (r *recording) fileAt(i int) string {
	if i < len(r.ops) {
		return r.ops[i].file
	}
	return ""
}

// opened opens an image as the main node does.
func opened(path string) (int64, error) {
	ctx := context.Background()
	db, err := store.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return digest(ctx, inside(db))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
