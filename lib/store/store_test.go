package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

var (
	ctx = context.Background()
	now = time.UnixMilli(1_700_000_000_123).UTC()
)

func mustOpen(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newDB(t testing.TB) *DB { return mustOpen(t, filepath.Join(t.TempDir(), "cluster.db")) }

func commit(t testing.TB, b *Batch) {
	t.Helper()
	if err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func spec(payload string) task.Spec {
	return task.Spec{Type: "echo", Payload: json.RawMessage(payload)}
}

func TestBatchIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a dir with ?#%", "cluster.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, path)
	exit, later := 3, now.Add(time.Second)
	full := task.Spec{Type: "shell", Name: "n|1", Priority: task.Urgent, Timeout: 1.5, Retries: 2, Payload: json.RawMessage(`{"script":"x"}`),
		Requirements: task.Requirements{CPUCores: 2, Tags: []string{"usb"}}}
	attempt := Attempt{Task: 1, Lease: "secret", Attempt: task.Attempt{Number: 1, Device: "pi", Outcome: task.AttemptFailed, Reason: "exit status 3", Leased: now,
		Started: &now, Finished: &later, ExitCode: &exit, Wall: 0.5, Metrics: task.Metrics{CPUTime: 0.25, MemoryPeak: 1 << 20}, Output: 5}}
	dev := Device{ID: "pi", Fingerprint: "f", Profile: device.Profile{Slots: 4, TaskTypes: []string{"echo"}}, Draining: true, Joined: now, Seen: later, BootCount: 7, Address: "::1", Completed: 2, Failed: 1}
	event := cluster.Event{Seq: 1, Time: now, Kind: cluster.TaskEnded, Device: "pi", Job: 1, Task: 1, Attempt: 1, State: task.Failed, ExitCode: &exit, Output: 5, Reason: "r"}
	b := db.NewBatch()
	b.Submit(NewTask{ID: 1, Job: 1, Spec: full, Submitted: now})
	b.Task(Task{ID: 1, State: task.Failed, Attempt: 1, Device: "pi", Reason: "r", Failures: 1, Losses: 2, Started: now, Finished: later, ExitCode: &exit, Output: 5})
	b.Attempt(attempt)
	b.Output(1, 1, task.Chunk{Position: 0, Stream: task.Stdout, After: 20 * time.Millisecond, Data: []byte("he\x00")})
	b.Output(1, 1, task.Chunk{Position: 3, Stream: task.Stderr, Data: []byte("\xff!")})
	b.Device(dev)
	b.Event(event)
	b.Token(Token{ID: "t", Role: "admin", Name: "n", Hash: []byte{1}, Created: now})
	b.Invite(Invite{ID: "i", Hash: []byte{2}, Expires: later})
	b.Key(Key{Principal: "p", Key: "k", Index: 10, Count: 5, First: 100, At: now})
	b.Set("next_task", int64(2))
	commit(t, b)
	db.Close()

	db = mustOpen(t, path) // what was committed is there after a restart
	got, err := db.Task(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := task.Task{ID: 1, Job: 1, Spec: full, State: task.Failed, Reason: "r", Device: "pi", Attempt: 1, Failures: 1, Losses: 2, Submitted: now, Started: &now, Finished: &later, ExitCode: &exit, Output: 5}
	same(t, "task", got, want)
	attempts, err := db.Attempts(ctx, 1)
	same(t, "attempts", attempts, []Attempt{attempt})
	devices, err2 := db.Devices(ctx)
	same(t, "devices", devices, []Device{dev})
	events, err3 := db.Events(ctx, 0, 10)
	same(t, "events", events, []cluster.Event{event})
	tokens, err4 := db.Tokens(ctx)
	same(t, "tokens", tokens, []Token{{ID: "t", Role: "admin", Name: "n", Hash: []byte{1}, Created: now}})
	invites, err5 := db.Invites(ctx)
	same(t, "invites", invites, []Invite{{ID: "i", Hash: []byte{2}, Expires: later}})
	meta, err6 := db.Meta(ctx)
	same(t, "meta", meta, map[string]string{"next_task": "2"})
	if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestAllOrNothing(t *testing.T) {
	db := newDB(t)
	b := db.NewBatch()
	b.Submit(NewTask{ID: 1, Job: 1, Spec: spec(`{}`), Submitted: now})
	b.Event(cluster.Event{Seq: 1, Time: now, Kind: cluster.MainStarted})
	b.Event(cluster.Event{Seq: 1, Time: now, Kind: cluster.MainStarted}) // the same number: refused
	if err := b.Commit(ctx); err == nil {
		t.Fatal("two events had one number")
	}
	if _, err := db.Task(ctx, 1); !errors.Is(err, task.ErrNotFound) {
		t.Fatalf("half a batch was kept: %v", err)
	}
	b = db.NewBatch()
	b.Submit(NewTask{ID: 1, Job: 1, Spec: spec(`{}`), Submitted: now})
	commit(t, b) // and the next one goes on
}

func TestOutput(t *testing.T) {
	db := newDB(t)
	b := db.NewBatch()
	for i, text := range []string{"abc", "defg", "h"} {
		b.Output(7, 2, task.Chunk{Position: []int64{0, 3, 7}[i], Stream: task.Stdout, Data: []byte(text)})
	}
	b.Output(7, 3, task.Chunk{Position: 0, Stream: task.Stdout, Data: []byte("another attempt")})
	b.Output(7, 2, task.Chunk{Position: 3, Stream: task.Stdout, Data: []byte("sent again")}) // is there already
	commit(t, b)
	for from := range int64(10) {
		chunks, err := db.Output(ctx, 7, 2, from, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		at := from
		for _, c := range chunks {
			if c.Position != at {
				t.Errorf("from %d: a chunk at %d, expected at %d", from, c.Position, at)
			}
			got.Write(c.Data)
			at = c.End()
		}
		if want := "abcdefgh"[min(from, 8):]; got.String() != want {
			t.Errorf("from %d: %q, want %q", from, got.String(), want)
		}
	}
}

func TestTasksFilterAndPages(t *testing.T) {
	db := newDB(t)
	b := db.NewBatch()
	for n := task.ID(1); n <= 100; n++ {
		job := task.JobID(1 + (n-1)/10%2*10) // jobs 1 and 11, ten tasks of each in turn
		b.Submit(NewTask{ID: n, Job: job, Spec: spec(`{}`), Submitted: now.Add(time.Duration(n) * time.Second)})
		if n%3 == 0 {
			b.Task(Task{ID: n, State: task.Completed, Device: "pi", Finished: now})
		}
	}
	commit(t, b)
	for _, c := range []struct {
		name string
		f    Filter
		want int
	}{
		{"all", Filter{}, 100},
		{"queued", Filter{States: []task.State{task.Queued}}, 67},
		{"ended", Filter{States: []task.State{task.Completed, task.Failed}}, 33},
		{"open or ended", Filter{States: []task.State{task.Queued, task.Completed}}, 100},
		{"device", Filter{Device: "pi"}, 33},
		{"job", Filter{Job: 11}, 50},
		{"no job", Filter{Job: 12}, 0},
		{"job and state", Filter{Job: 1, States: []task.State{task.Completed}}, 17},
		{"some", Filter{Tasks: []task.ID{5, 6, 500}}, 2},
		{"since", Filter{Since: now.Add(91 * time.Second)}, 10},
	} {
		for _, newest := range []bool{false, true} {
			if got := pages(t, db, c.f, newest); got != c.want {
				t.Errorf("%s: %d tasks, want %d", c.name, got, c.want)
			}
		}
		if ids, err := db.TaskIDs(ctx, c.f); err != nil || len(ids) != c.want {
			t.Errorf("%s: %d ids, %v", c.name, len(ids), err)
		}
	}
}

func pages(t *testing.T, db *DB, f Filter, newest bool) (many int) {
	var after task.ID
	for {
		page, err := db.Tasks(ctx, f, after, 7, newest)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			if after != 0 && (x.ID > after) == newest {
				t.Fatalf("%s comes after %s", x.ID, after)
			}
			after = x.ID
		}
		many += len(page)
		if len(page) < 7 {
			return many
		}
	}
}

func TestResolve(t *testing.T) {
	db := newDB(t)
	b := db.NewBatch()
	byThree := map[string]int{} // three characters are 32,768: some must be shared
	for n := task.ID(1); n <= 33_000; n++ {
		b.Submit(NewTask{ID: n, Job: 1, Spec: spec(`{}`), Submitted: now})
		byThree[n.String()[:4]]++
	}
	commit(t, b)
	whole := task.ID(4242).String()
	if id, err := db.Resolve(ctx, whole[:7]); err != nil || id != 4242 {
		t.Errorf("%s: %v %v", whole[:7], id, err)
	}
	want := map[string]error{"t": task.ErrBadID, "pi4": task.ErrBadID, "tzzzzzzz": task.ErrNotFound}
	for text, many := range byThree {
		if many > 1 {
			want[text] = task.ErrAmbiguous
			break
		}
	}
	for text, want := range want {
		if _, err := db.Resolve(ctx, text); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestOpenTasks(t *testing.T) {
	db := newDB(t)
	b := db.NewBatch()
	for n, s := range []task.State{task.Queued, task.Assigned, task.Running, task.Completed, task.Cancelled} {
		id := task.ID(n + 1)
		b.Submit(NewTask{ID: id, Job: 1, Spec: spec(`{"message":"big"}`), Submitted: now})
		b.Task(Task{ID: id, State: s, Attempt: n})
		for a := 1; a <= n; a++ {
			b.Attempt(Attempt{Task: id, Lease: fmt.Sprintf("lease %d", a), Attempt: task.Attempt{Number: a, Leased: now}})
		}
	}
	commit(t, b)
	var got []string
	err := db.EachUntouched(ctx, func(n *NewTask) {
		got = append(got, fmt.Sprintf("%d %s of %s", uint64(n.ID), n.Spec.Type, n.Submitted.Sub(now)))
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := db.Untouched(ctx, 1, 10)
	if err != nil || len(page) != 1 || page[0].ID != 1 || len(page[0].Spec.Payload) == 0 {
		t.Errorf("read ahead: %+v, %v", page, err)
	}
	err = db.TouchedTasks(ctx, func(x task.Task, a *Attempt) {
		if len(x.Payload) > 0 {
			t.Errorf("%s: its payload was read", x.ID)
		}
		lease := "none"
		if a != nil {
			lease = a.Lease
		}
		got = append(got, fmt.Sprintf("%d %s %s", uint64(x.ID), x.State, lease))
	})
	same(t, "open", got, []string{"1 echo of 0s", "2 assigned lease 1", "3 running lease 2"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrune(t *testing.T) {
	for _, c := range []struct {
		name  string
		keep  Keep
		ended int // that are left of 20, of which 10 ended a day ago
		left  int // events, of 30
	}{
		{"everything", Keep{}, 20, 30},
		{"by age", Keep{TasksFor: time.Hour}, 10, 30},
		{"by number", Keep{Tasks: 3}, 3, 30},
		{"by output", Keep{OutputBytes: 25}, 5, 30},
		{"events", Keep{Events: 12}, 20, 12},
	} {
		db := newDB(t)
		b := db.NewBatch()
		for n := task.ID(1); n <= 30; n++ {
			b.Submit(NewTask{ID: n, Job: 1, Spec: spec(`{}`), Submitted: now})
			b.Event(cluster.Event{Seq: int64(n), Time: now, Kind: cluster.TaskStarted, Task: n})
			if n <= 20 {
				at := now
				if n <= 10 {
					at = now.Add(-24 * time.Hour)
				}
				b.Task(Task{ID: n, State: task.Completed, Attempt: 1, Finished: at, Output: 5})
				b.Attempt(Attempt{Task: n, Attempt: task.Attempt{Number: 1, Leased: now, Output: 5}})
				b.Output(n, 1, task.Chunk{Stream: task.Stdout, Data: []byte("hello")})
			}
		}
		commit(t, b)
		p, err := db.Prune(ctx, c.keep, now, 20, 100)
		if err != nil {
			t.Fatal(err)
		}
		counts, _, output, err := db.Counts(ctx, now)
		events, err2 := db.Events(ctx, 0, 100)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if counts[task.Completed] != int64(c.ended) || counts[task.Queued] != 10 || len(events) != c.left || output != int64(5*c.ended) ||
			p.Ended[task.Completed] != int64(20-c.ended) || p.OutputBytes != int64(5*(20-c.ended)) {
			t.Errorf("%s: %v tasks, %d events, %d bytes are left; said %+v", c.name, counts, len(events), output, p)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, make func(path string)) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		make(path)
		return path
	}
	sqlFile := func(text string) func(string) {
		return func(path string) {
			db, err := open(path, "rwc", 1)
			if err == nil {
				_, err = db.Exec(text)
			}
			if err != nil {
				t.Fatal(err)
			}
			db.Close()
		}
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{write("text/x.db", func(p string) { os.WriteFile(p, []byte(strings.Repeat("no database at all ", 500)), 0o600) }), ErrForeign},
		{write("foreign/x.db", sqlFile("PRAGMA application_id=42; CREATE TABLE a (b)")), ErrForeign},
		{write("newer/x.db", sqlFile(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=9999; CREATE TABLE a (b)", applicationID))), ErrNewer},
	} {
		before, _ := os.ReadFile(c.path)
		db, err := Open(ctx, c.path)
		if err == nil {
			db.Close()
		}
		if after, _ := os.ReadFile(c.path); !errors.Is(err, c.want) || string(after) != string(before) {
			t.Errorf("%s: %v; its bytes were changed: %v", c.path, err, string(after) != string(before))
		}
	}
	db := newDB(t)
	if _, err := Open(ctx, db.path); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := newDB(b)
			next := task.ID(1)
			b.ReportAllocs()
			for b.Loop() {
				batch := db.NewBatch()
				for range size {
					batch.Submit(NewTask{ID: next, Job: 1, Spec: spec(`{"argv":["true"]}`), Submitted: now})
					next++
				}
				commit(b, batch)
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
