package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// submitTasks commits count tasks, each with an attempt that is open, from a number on.
func submitTasks(t testing.TB, db *DB, first task.ID, count int) {
	t.Helper()
	b := db.NewBatch()
	for i := range count {
		id := first + task.ID(i)
		b.Submit(NewTask{ID: id, Job: first.AsJob(), Spec: spec(`{"message":"` + strings.Repeat("x", 200) + `"}`), Submitted: now})
		b.Task(Task{ID: id, State: task.Running, Attempt: 2, Device: "pi"})
		b.Attempt(Attempt{Task: id, Lease: fmt.Sprint("lease", id), Attempt: task.Attempt{Number: 2, Device: "pi", Outcome: task.AttemptRunning, Leased: now}})
		b.Event(cluster.Event{Seq: int64(id), Time: now, Kind: cluster.TaskStarted, Task: id})
	}
	b.Set("next_task", int64(first)+int64(count))
	commit(t, b)
}

func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestBackupOfABusyDatabase copies while another connection commits all the time, which makes a copy without a transaction begin anew for ever.
func TestBackupOfABusyDatabase(t *testing.T) {
	db := newDB(t)
	submitTasks(t, db, 1, 5000)
	to := filepath.Join(t.TempDir(), "copy.db")
	busy, stop := context.WithCancel(ctx)
	committed, slowest := 0, time.Duration(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; busy.Err() == nil; committed++ {
			began := time.Now()
			submitTasks(t, db, task.ID(5001+committed*10), 10)
			slowest = max(slowest, time.Since(began))
		}
	}()
	before, err := db.Changes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Backup(ctx, db.path, to, false)
	stop()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if r.Tasks < 5000 || r.Tasks != r.Open || r.Tasks%10 != 0 || r.LastEvent != r.Tasks || r.Path != to || committed == 0 {
		t.Errorf("the backup has %d tasks, %d open, event %d, beside %d commits", r.Tasks, r.Open, r.LastEvent, committed)
	}
	if after, err := db.Changes(ctx); err != nil || after == before {
		t.Errorf("%d commits were not noticed: %d, %d (%v)", committed, before, after, err)
	}
	if before, _ = db.Changes(ctx); true {
		if after, _ := db.Changes(ctx); after != before {
			t.Errorf("changes without a commit: %d, %d", before, after)
		}
	}
	if fi, err := os.Stat(to); err != nil || fi.Mode() != 0o600 || fi.Size() != r.Size {
		t.Errorf("%v, %v", fi, err)
	}
	if names := filesIn(t, filepath.Dir(to)); !slices.Equal(names, []string{"copy.db"}) {
		t.Errorf("files left: %q", names)
	}
	t.Logf("%d commits beside the backup, the slowest took %s", committed, slowest)
}

func TestBackupReplacesOnlyBackups(t *testing.T) {
	db := newDB(t)
	submitTasks(t, db, 1, 10)
	dir := t.TempDir()
	to := filepath.Join(dir, "copy.db")
	if _, err := Backup(ctx, db.path, to, false); err != nil {
		t.Fatal(err)
	}
	submitTasks(t, db, 11, 10)
	if _, err := Backup(ctx, db.path, to, false); !errors.Is(err, ErrExists) {
		t.Errorf("a second one: %v", err)
	}
	if r, err := Backup(ctx, db.path, to, true); err != nil || r.Tasks != 20 {
		t.Errorf("a second one by force: %+v, %v", r, err)
	}
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte(strings.Repeat("dear ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{letter, dir, db.path} {
		if _, err := Backup(ctx, db.path, other, true); err == nil {
			t.Errorf("%s was replaced", other)
		}
	}
	held, err := claim(to + ".tmp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(ctx, db.path, to, true); !errors.Is(err, ErrInUse) {
		t.Errorf("two at a time: %v", err)
	}
	held.Close()
	given, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Backup(given, db.path, filepath.Join(dir, "no.db"), false); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if names := filesIn(t, dir); !slices.Equal(names, []string{"copy.db", "copy.db.tmp", "letter.txt"}) {
		t.Errorf("files left: %q", names)
	}
}

func TestBackupOfAStoppedDatabase(t *testing.T) {
	path := copyOf(t, "testdata/v1.db")
	to := filepath.Join(t.TempDir(), "copy.db")
	r, err := Backup(ctx, path, to, false)
	if err != nil || r.Version != 1 || r.Tasks != 19 || r.Open != 2 || r.Devices != 2 || r.LastEvent != 57 || r.LastTime.Year() != 2026 {
		t.Errorf("%+v, %v", r, err)
	}
	want, got := contents(t, path, columnsOf(t, path)), contents(t, to, columnsOf(t, to))
	compareContents(t, "the backup", want, got)
}

func TestThin(t *testing.T) {
	newest := time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)
	var hourly []BackupFile
	for i := range 24 * 60 {
		hourly = append(hourly, BackupFile{Time: newest.Add(-time.Duration(i) * time.Hour), Rotated: true})
	}
	gone := map[time.Time]bool{}
	removed := Thin(hourly, 24)
	for _, f := range removed {
		gone[f.Time] = true
	}
	var kept []string
	for _, f := range hourly[24:] {
		if !gone[f.Time] {
			kept = append(kept, f.Time.Format("01-02T15"))
		}
	}
	want := []string{"06-29T12", "06-28T23", "06-27T23", "06-26T23", "06-25T23", "06-24T23", "06-23T23", "06-21T23", "06-14T23"}
	if !slices.Equal(kept, want) {
		t.Errorf("beside the newest 24:\n got %q\nwant %q", kept, want)
	}
	if len(removed) != len(hourly)-24-len(want) || !removed[0].Time.Equal(hourly[len(hourly)-1].Time) {
		t.Errorf("%d removed, the first of %s", len(removed), removed[0].Time)
	}
	if removed := Thin([]BackupFile{{Time: newest}, {Time: newest.AddDate(-1, 0, 0)}}, 0); len(removed) != 0 {
		t.Errorf("what is not rotated was removed: %v", removed)
	}
}

func TestFit(t *testing.T) {
	files := []BackupFile{{Path: "c", Size: 30, Rotated: true}, {Path: "before", Size: 1000}, {Path: "b", Size: 30, Rotated: true}, {Path: "a", Size: 30, Rotated: true}}
	tests := []struct {
		size, limit int64
		want        string
		ok          bool
	}{
		{30, 120, "", true}, {30, 119, "a", true}, {30, 60, "a b", true}, {30, 31, "a b", true}, {31, 30, "", false},
	}
	for _, tt := range tests {
		remove, ok := Fit(files, tt.size, tt.limit)
		var names []string
		for _, f := range remove {
			names = append(names, f.Path)
		}
		if got := strings.Join(names, " "); got != tt.want || ok != tt.ok {
			t.Errorf("%d of %d: %q, %t; want %q, %t", tt.size, tt.limit, got, ok, tt.want, tt.ok)
		}
	}
}

func TestBackupsAreFoundByName(t *testing.T) {
	dir := t.TempDir()
	db := newDB(t)
	submitTasks(t, db, 1, 10)
	good := filepath.Join(dir, BackupName(now))
	if _, err := db.Backup(ctx, good); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{BackupName(now.Add(time.Hour)), "before-v2-20010101T000000Z.db", "cluster.db", "notes.txt", BackupName(now) + ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("SQLite format 3\x00 and no more"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Backups(dir)
	if err != nil || len(files) != 3 || files[1].Path != good || files[2].Rotated || !files[1].Time.Equal(now.Truncate(time.Second)) {
		t.Errorf("%+v, %v", files, err)
	}
	if r, bad, ok := NewestGood(ctx, dir); !ok || r.Path != good || len(bad) != 1 {
		t.Errorf("%+v, %v, %t", r, bad, ok)
	}
	if files, err := Backups(filepath.Join(dir, "none")); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestJudgePlace(t *testing.T) {
	for kind, want := range map[int64]string{0x6969: "refuse NFS", 0xff534d42: "refuse SMB", 0xfe534d42: "refuse SMB", 0x01021997: "refuse 9p", 0x65735546: "refuse FUSE",
		0x00c36400: "warn Ceph", 0x4d44: "warn FAT", 0x01021994: "warn tmpfs", 0xef53: "", 0x9123683e: "", 0x794c7630: "", 0x12345: ""} {
		warning, err := judgePlace("/data", fileSystems[kind], false)
		got := ""
		switch {
		case err != nil:
			got = "refuse " + err.Error()
		case warning != "":
			got = "warn " + warning
		}
		verb, name, _ := strings.Cut(want, " ")
		if !strings.HasPrefix(got, verb) || !strings.Contains(got, name) || want == "" && got != "" || err != nil && !strings.Contains(got, "--any-filesystem") {
			t.Errorf("%#x: %q, want %q", kind, got, want)
		}
		if warning, err := judgePlace("/data", fileSystems[kind], true); err != nil || (warning == "") != (want == "") {
			t.Errorf("%#x, insisting: %q, %v", kind, warning, err)
		}
	}
	if _, err := CheckPlace(filepath.Join(t.TempDir(), "not", "there", "yet"), false); err != nil {
		t.Log(err) // where the tests run is not chosen here
	}
	if _, ok := kindOf(standing(filepath.Join(t.TempDir(), "not"))); !ok {
		t.Skip("this system does not tell")
	}
}
