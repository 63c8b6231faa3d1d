//go:build linux && cgo

package disk

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// fault is a call that fails.
type fault struct {
	call string // open, write, fsync, ftruncate, any
	n    int    // which of them
	how  string // eio-once …; see testdata/disk.c
}

func (f fault) String() string { return fmt.Sprintf("%s:%d:%s", f.call, f.n, f.how) }

// faults are one for each n from 1 to 200: what fails, and how, goes round.
func faults() (all []fault) {
	writes := []string{"eio-once", "enospc-once", "eio-always", "short-once", "enospc-always", "erofs-always", "short-always"}
	others := []string{"eio-once", "eio-always", "enospc-once", "erofs-always"}
	for n := 1; n <= 200; n++ {
		f := fault{"write", n, writes[n%len(writes)]}
		switch {
		case n%4 == 1:
			f = fault{"fsync", n/2 + 1, others[n/4%len(others)]}
		case n%20 == 2:
			f = fault{"open", n/20 + 1, others[n/20%len(others)]} // of these there are few
		case n%40 == 10:
			f = fault{"ftruncate", n/80 + 1, others[n/40%len(others)]} // and of these fewer
		case n%4 == 3:
			f.call = "any"
		}
		all = append(all, f)
	}
	return all
}

// tally is what the lane counts.
type tally struct {
	faults, fired, tasks, falseAcks, emptyStarts, wrongStatus atomic.Int64
}

// blame reports what was wrong with a case.
func (y *tally) blame(t *testing.T, count *atomic.Int64, what any, format string, args ...any) {
	t.Helper()
	count.Add(1)
	t.Errorf("%v: %s", what, fmt.Sprintf(format, args...))
}

// testCalls lets each of the faults happen to a main node that has a past, or to one that starts for the first time.
func testCalls(t *testing.T, seed uint64, y *tally) {
	all := faults()
	if !full() {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:12]
	}
	dir := memory(t)
	past := makePast(t, filepath.Join(dir, "past"))
	work := make(chan fault, len(all))
	for _, f := range all {
		work <- f
	}
	close(work)
	var hands sync.WaitGroup
	for range 3 { // they wait for each other more than they compute
		hands.Go(func() {
			for f := range work {
				one := &faultCase{fault: f, tally: y, dir: filepath.Join(dir, f.String()), book: newLedger()}
				if f.n%3 != 0 {
					one.from, one.book = filepath.Join(dir, "past"), past.clone()
				}
				one.run(t)
				os.RemoveAll(one.dir)
			}
		})
	}
	hands.Wait()
}

func echo(text string) task.Spec {
	return task.Spec{Type: "echo", Payload: json.RawMessage(`{"message":"` + text + `"}`)}
}

// makePast makes the data directory of a main node that was killed in the middle of its work.
func makePast(t *testing.T, dir string) *ledger {
	t.Helper()
	book := newLedger()
	d, err := mained(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.kill()
	c, err := connect(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.said.String())
	}
	defer c.Close()
	for range 10 {
		if err := book.submit(d.ctx, c, echo("a"), echo(strings.Repeat("b", 500))); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := book.open(3)
	if err := book.cancel(d.ctx, c, id); err != nil {
		t.Fatal(err)
	}
	return book
}

// faultCase is one fault, and one main node that meets it.
type faultCase struct {
	fault
	*tally
	from string // data directory to begin with; empty: none
	dir  string
	book *ledger
}

func (f *faultCase) fired() string {
	b, _ := os.ReadFile(f.dir + ".fired")
	return strings.TrimSpace(string(b))
}

func (f *faultCase) run(t *testing.T) {
	f.faults.Add(1)
	if f.from != "" {
		if err := os.CopyFS(f.dir, os.DirFS(f.from)); err != nil {
			t.Error(err)
			return
		}
	}
	d, err := mained(t, f.dir, "LD_PRELOAD="+library(t), envDir+"="+f.dir, "RC_DISK_FAULT="+f.String(), "RC_DISK_FIRED="+f.dir+".fired")
	if err != nil {
		t.Errorf("%v: %v", f, err)
		return
	}
	defer d.kill()
	serving := !d.over()
	if serving {
		if err := f.load(t, d); err != nil {
			t.Errorf("%v: %v", f, err)
			return
		}
	}
	f.judgeEnd(t, d, serving)
	if f.fired() != "" {
		f.tally.fired.Add(1)
	}
	f.judgeNextStart(t)
	f.tasks.Add(int64(f.book.len()))
}

// requests are how many are made of a main node at most, and how many more after the fault has happened. Those have little time: a full disk
// leaves some without an answer, and the client would ask again for a minute.
const (
	requests = 200
	after    = 8
	hurry    = 150 * time.Millisecond
)

// load makes requests until the fault has happened, and a while longer. Whatever is refused is refused: what counts is what is not.
func (f *faultCase) load(t *testing.T, d *daemon) error {
	c, err := connect(f.dir)
	if err != nil {
		if d.over() {
			return nil
		}
		return err
	}
	defer c.Close()
	if f.n%8 == 0 {
		w := workerd(t, f.dir+".worker", f.dir)
		defer os.RemoveAll(f.dir + ".worker")
		defer w.kill()
	}
	for i, left := 0, after; i < requests && left > 0 && !d.over(); i++ {
		wait := patience
		if f.fired() != "" {
			wait, left = hurry, left-1
		}
		ctx, cancel := context.WithTimeout(d.ctx, wait) // done when the main node is gone: nobody then waits for it
		f.request(ctx, c, i)
		cancel()
		if ctx.Err() == context.DeadlineExceeded {
			if wait == patience {
				return fmt.Errorf("it did not answer any more, nor end:\n%s", d.said.String())
			}
			left -= after / 2
		}
	}
	return nil
}

// request makes the i-th request, without caring whether it is refused.
func (f *faultCase) request(ctx context.Context, c *client.Client, i int) {
	switch id, open := f.book.open(i % 5); {
	case i%6 == 3 && open:
		f.book.cancel(ctx, c, id)
	case i%6 == 5:
		f.book.look(ctx, c)
	default:
		f.book.submit(ctx, c, echo(strings.Repeat("x", 10*i)), echo("y"))
	}
}

// judgeEnd looks at how the main node ended, or ends it.
func (f *faultCase) judgeEnd(t *testing.T, d *daemon, serving bool) {
	byItself := d.over() || f.dies(d)
	status := 0
	if byItself {
		<-d.gone
		status = d.status()
	} else {
		var err error
		if status, err = d.stop(); err != nil {
			f.blame(t, &f.wrongStatus, f, "%v", err)
			return
		}
	}
	switch {
	case byItself && serving && f.rides():
		f.blame(t, &f.wrongStatus, f, "(%s) a full disk ended it, with %d\n%s", f.fired(), status, d.said.String())
		return
	case status == 75:
	case !byItself && status == 0:
	case !serving && status == 78: // it says what is the matter with the disk
	default:
		f.blame(t, &f.wrongStatus, f, "(%s) ended with %d, by itself: %v, serving: %v\n%s", f.fired(), status, byItself, serving, d.said.String())
		return
	}
	if status != 0 && !strings.HasPrefix(d.lastWords(), "rc-mained: ") {
		f.blame(t, &f.wrongStatus, f, "(%s) ended with %d and without a word:\n%s", f.fired(), status, d.said.String())
	}
}

// dies waits for the end that an error of the disk must have. A full disk is none, and SQLite itself puts up with an error while it writes the log
// back: it does so again later, from a log that is on the disk.
func (f *faultCase) dies(d *daemon) bool {
	if !strings.HasPrefix(f.how, "e") || strings.HasPrefix(f.how, "enospc") || f.fired() != "write of cluster.db-wal" {
		return false
	}
	select {
	case <-d.gone:
		return true
	case <-time.After(patience):
		return false
	}
}

// rides says whether the main node must ride on: while only the log of the database finds no room.
func (f *faultCase) rides() bool {
	return strings.HasPrefix(f.how, "enospc") && f.call == "write" && f.fired() == "write of cluster.db-wal"
}

// judgeNextStart starts the main node without a fault, and holds it to what the last one said.
func (f *faultCase) judgeNextStart(t *testing.T) {
	d, err := mained(t, f.dir)
	if err != nil {
		t.Errorf("%v: %v", f, err)
		return
	}
	defer d.kill()
	if d.over() {
		f.blame(t, &f.wrongStatus, f, "(%s) the next start failed with %d:\n%s", f.fired(), d.status(), d.said.String())
		return
	}
	c, err := connect(f.dir)
	if err != nil {
		t.Errorf("%v: %v", f, err)
		return
	}
	defer c.Close()
	wrong, empty, err := f.book.missing(d.ctx, c)
	if err != nil {
		t.Errorf("%v: %v", f, err)
		return
	}
	if empty {
		f.blame(t, &f.emptyStarts, f, "(%s) the next start began with nothing", f.fired())
	}
	for _, w := range wrong {
		f.blame(t, &f.falseAcks, f, "(%s) %s", f.fired(), w)
	}
}
