package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRestoreIsAFork restores a backup and looks at all numbers that must not be given out again; then it restores a backup of that.
func TestRestoreIsAFork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.db")
	backup := filepath.Join(t.TempDir(), "copy.db")
	db := mustOpen(t, path)
	b := db.NewBatch()
	b.Set("incarnation", "before")
	b.Invite(Invite{ID: "i", Hash: []byte{1}, Expires: now.Add(time.Hour)})
	for _, kind := range []TokenKind{TokenKept, TokenLogin, TokenSession} {
		b.Token(Token{ID: "token" + string(kind), Kind: kind, Role: "admin", Hash: []byte{1}, Created: now})
	}
	commit(t, b)
	submitTasks(t, db, 1, 10)
	if _, err := db.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	want := contents(t, backup, map[string][]string{"tasks": {"*"}, "attempts": {"*"}, "keys": {"*"}, "devices": {"*"}, "output": {"*"}, "jobs": {"*"}})
	submitTasks(t, db, 11, 90)
	b = db.NewBatch()
	b.Revoke(Revoked{Fingerprint: "stolen", Device: "phone", At: now})
	commit(t, b)
	if _, err := Restore(ctx, backup, path, "x", now); !errors.Is(err, ErrInUse) {
		t.Fatalf("while it is open: %v", err)
	}
	db.Close()
	r, err := Restore(ctx, backup, path, "after", now)
	if err != nil || r.From.Tasks != 10 || r.Aside != path+".before-restore-20231114T221320Z" {
		t.Fatalf("%+v, %v", r, err)
	}
	if names := filesIn(t, filepath.Dir(path)); !slices.Equal(names, []string{"cluster.db", filepath.Base(r.Aside), "main.lock"}) {
		t.Errorf("files: %q", names)
	}
	compareContents(t, "the restore", want, contents(t, path, map[string][]string{"tasks": {"*"}, "attempts": {"*"}, "keys": {"*"}, "devices": {"*"}, "output": {"*"}, "jobs": {"*"}}))
	if aside, err := Inspect(ctx, r.Aside, false); err != nil || aside.Tasks != 100 {
		t.Errorf("what was put aside: %+v, %v", aside, err)
	}
	checkFork(t, path, "after", 11+forkTasks, 2+forkAttempts, 10+forkEvents)

	second := filepath.Join(t.TempDir(), "second.db")
	if _, err := Backup(ctx, path, second, false); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(ctx, second, path, "again", now); err != nil {
		t.Fatal(err)
	}
	checkFork(t, path, "again", 11+2*forkTasks, 2+2*forkAttempts, 10+2*forkEvents)
	db = mustOpen(t, path)
	if _, err := db.Prune(ctx, Keep{Events: 8}, now, 0, 0); err != nil {
		t.Fatal(err)
	}
	events, err := db.Events(ctx, 0, 100)
	if err != nil || len(events) != 8 || events[0].Seq != 5 || events[6].Seq != 10+forkEvents {
		t.Errorf("of 12 events, of which 8 were to be kept: %+v, %v", events, err)
	}
}

func checkFork(t testing.TB, path, incarnation string, next, attempt, event int64) {
	t.Helper()
	db := mustOpen(t, path)
	defer db.Close()
	meta, err := db.Meta(ctx)
	if err != nil || meta["incarnation"] != incarnation || number(t, meta["next_task"]) != next || meta[MetaForkTask] != meta["next_task"] || number(t, meta[MetaAttemptFloor]) != attempt {
		t.Errorf("meta: %v, %v", meta, err)
	}
	last, err := db.LastEvent(ctx)
	events, err2 := db.Events(ctx, last-1, 10)
	if err != nil || err2 != nil || last != event || len(events) != 1 || events[0].Kind != cluster.MainRestored {
		t.Errorf("events end with %d, want %d: %+v (%v, %v)", last, event, events, err, err2)
	}
	if invites, err := db.Invites(ctx); err != nil || len(invites) != 0 {
		t.Errorf("invitations: %v, %v", invites, err)
	}
	if tokens, err := db.Tokens(ctx); err != nil || len(tokens) != 1 || tokens[0].ID != "token" {
		t.Errorf("tokens: %v, %v", tokens, err)
	}
	if keys, err := db.Revoked(ctx); err != nil || len(keys) != 1 || keys[0].Fingerprint != "stolen" {
		t.Errorf("the key of a device that was removed after the backup: %v, %v", keys, err)
	}
	if next > int64(task.MaxID) {
		t.Errorf("%d is no number of a task", next)
	}
}

// TestRestoreChangesNothingAtFirst: what cannot be restored leaves everything as it is.
func TestRestoreChangesNothingAtFirst(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.db")
	db := mustOpen(t, path)
	submitTasks(t, db, 1, 500)
	good := filepath.Join(t.TempDir(), "good.db")
	if _, err := db.Backup(ctx, good); err != nil {
		t.Fatal(err)
	}
	db.Close()
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(whole)
	newer[63] = 99
	broken := slices.Clone(whole)
	for i := range 4096 {
		broken[8*4096+i] = 0xA5
	}
	tests := map[string]struct {
		content []byte
		want    error
	}{
		"empty": {nil, ErrDamaged}, "letter": {[]byte(strings.Repeat("dear ", 100)), ErrForeign}, "newer": {newer, ErrNewer}, "broken": {broken, ErrDamaged},
		"half": {whole[:len(whole)/2], ErrDamaged}, "head": {whole[:80], nil},
	}
	for name, tt := range tests {
		from := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(from, tt.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(ctx, from, path, "x", now); err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Restore(ctx, filepath.Join(dir, "none.db"), path, "x", now); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if _, err := Restore(ctx, path, path, "x", now); err == nil {
		t.Errorf("the database was restored from itself")
	}
	if names := filesIn(t, dir); !slices.Equal(names, []string{"cluster.db", "main.lock"}) {
		t.Errorf("files: %q", names)
	}
	if is, err := os.ReadFile(path); err != nil || !slices.Equal(is, was) {
		t.Errorf("the database has changed (%v)", err)
	}
}

// TestNeverBegunAnew takes the database away in the ways in which databases get lost.
func TestNeverBegunAnew(t *testing.T) {
	lose := map[string]func(path string) error{"missing": os.Remove, "empty": func(path string) error { return os.Truncate(path, 0) }}
	signs := map[string]func(t *testing.T, path string){
		"log": func(t *testing.T, path string) {
			if err := os.WriteFile(path+"-wal", []byte("frames"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"backup": func(t *testing.T, path string) {
			if err := os.Mkdir(filepath.Join(filepath.Dir(path), "backup"), 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := Backup(ctx, path, filepath.Join(filepath.Dir(path), "backup", BackupName(now)), false); err != nil {
				t.Fatal(err)
			}
		},
		"restore that ended half way": func(t *testing.T, path string) {
			if err := os.WriteFile(path+".before-restore-x", []byte("database"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	for how, lost := range lose {
		for sign, leave := range signs {
			t.Run(how+", "+sign, func(t *testing.T) {
				path := copyOf(t, "testdata/v1.db")
				leave(t, path)
				if err := lost(path); err != nil {
					t.Fatal(err)
				}
				before := filesIn(t, filepath.Dir(path))
				for range 2 {
					if _, err := Open(ctx, path); !errors.Is(err, ErrMissing) {
						t.Fatalf("%v", err)
					}
				}
				if after := slices.DeleteFunc(filesIn(t, filepath.Dir(path)), func(n string) bool { return n == lockName }); !slices.Equal(after, before) {
					t.Errorf("files: %q, were %q", after, before)
				}
			})
		}
		t.Run(how+", a first start", func(t *testing.T) {
			path := copyOf(t, "testdata/v1.db")
			if err := lost(path); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, path)
		})
	}
}

func TestMigrationIsAfterABackup(t *testing.T) {
	released := migrations
	defer func() { migrations = released }()
	path := copyOf(t, "testdata/v1.db")
	version := len(released)
	if err := mustOpen(t, path).Close(); err != nil { // as far as the present release goes
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(path), "backup")
	was := len(backupsIn(t, dir))
	migrations = append(slices.Clip(migrations), "CREATE TABLE later (x); INSERT INTO later VALUES (1)")
	if err := mustOpen(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	made := backupsIn(t, dir)
	if len(made) != was+1 || made[0].Rotated || !strings.Contains(made[0].Path, fmt.Sprintf("before-v%d-", version+1)) {
		t.Fatalf("backups: %+v", made)
	}
	if r, err := Inspect(ctx, made[0].Path, false); err != nil || r.Version != version || r.Tasks != 19 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := mustOpen(t, path).Close(); err != nil || len(backupsIn(t, dir)) != was+1 {
		t.Errorf("another backup at a start without a migration (%v)", err)
	}
	migrations = released
	if _, err := Open(ctx, path); !errors.Is(err, ErrNewer) {
		t.Errorf("the older program: %v", err)
	}
	if _, err := Restore(ctx, made[0].Path, path, "x", now); err != nil {
		t.Error(err)
	}
	mustOpen(t, path)

	// Without room for the backup nothing is migrated.
	path = copyOf(t, "testdata/v1.db")
	mustOpen(t, path).Close()
	migrations = append(slices.Clip(migrations), "CREATE TABLE later (x)")
	os.RemoveAll(filepath.Join(filepath.Dir(path), "backup"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "backup"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); err == nil {
		t.Error("migrated without a backup")
	}
	if r, err := Inspect(ctx, path, false); err != nil || r.Version != version {
		t.Errorf("%+v, %v", r, err)
	}
}

func backupsIn(t testing.TB, dir string) []BackupFile {
	t.Helper()
	found, err := Backups(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestOldestKept(t *testing.T) {
	tests := map[string]struct {
		newest, keep int64
		gaps         []gap
		want         int64
	}{
		"none": {100, 30, nil, 70}, "within": {1010, 10, []gap{{50, 1000}}, 1000}, "over it": {1010, 20, []gap{{50, 1000}}, 41},
		"exactly": {1010, 11, []gap{{50, 1000}}, 999}, "two": {1010, 41, []gap{{820, 1000}, {50, 800}}, 41}, "all": {1010, 5000, []gap{{50, 1000}}, -4939},
	}
	for name, tt := range tests {
		if got := oldestKept(tt.newest, tt.keep, tt.gaps); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// TestRestoreThatEndsHalfWay leaves the files as they are after each step of a restore, as a power cut would: the main node does not begin with nothing, nor
// with a database without its log, and another restore goes well.
func TestRestoreThatEndsHalfWay(t *testing.T) {
	steps := []string{"cluster.db", "cluster.db-wal", "cluster.db-shm"}
	for done := 1; done <= len(steps); done++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "cluster.db")
		good := filepath.Join(t.TempDir(), "good.db")
		db := mustOpen(t, path)
		submitTasks(t, db, 1, 20)
		if _, err := db.Backup(ctx, good); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{"cluster.db.restoring": []byte("SQLite format 3\x00, half of it")}
		for _, name := range steps { // with a log, as kill -9 leaves it
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = b
		}
		db.Close()
		for i, name := range steps[:done] {
			if i < 2 {
				files[strings.Replace(name, "cluster.db", "cluster.db.before-restore-20260101T000000Z", 1)] = files[name]
			}
			delete(files, name)
		}
		os.Remove(path)
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(ctx, path); !errors.Is(err, ErrMissing) {
			t.Errorf("after %d steps: %v", done, err)
		}
		if _, err := Restore(ctx, good, path, "x", now); err != nil {
			t.Errorf("after %d steps: %v", done, err)
		}
		if n, err := readAll(mustOpen(t, path)); n != 20 || err != nil {
			t.Errorf("after %d steps: %d tasks, %v", done, n, err)
		}
		for name, content := range files {
			if strings.Contains(name, "before-restore") {
				if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !slices.Equal(b, content) {
					t.Errorf("after %d steps: %s is not what it was (%v)", done, name, err)
				}
			}
		}
	}
}

// A token that was revoked after the backup stays so, if the database that is replaced went on from that backup. One that was begun anew, as when the
// disk was lost, says nothing of tokens, and must not cost their owners theirs.
func TestRestoreKeepsTokensRevoked(t *testing.T) {
	for _, c := range []struct {
		replaced string // its life
		want     []string
	}{
		{"first", []string{"kept"}},
		{"anew", []string{"kept", "lent"}},
		{"", []string{"kept", "lent"}}, // there is none
	} {
		backup, path := filepath.Join(t.TempDir(), "copy.db"), filepath.Join(t.TempDir(), "cluster.db")
		begin := func(path, life string, tokens ...string) *DB {
			db := mustOpen(t, path)
			b := db.NewBatch()
			b.Set("incarnation", life)
			for _, id := range tokens {
				b.Token(Token{ID: id, Role: "read", Hash: []byte{1}, Created: now})
			}
			commit(t, b)
			return db
		}
		db := begin(filepath.Join(t.TempDir(), "cluster.db"), "first", "kept", "lent")
		if _, err := db.Backup(ctx, backup); err != nil {
			t.Fatal(err)
		}
		if c.replaced != "" {
			begin(path, c.replaced, "kept", "new").Close()
		}
		if r, err := Restore(ctx, backup, path, "after", now); err != nil || r.Known != (len(c.want) == 1) {
			t.Fatalf("%+v, %v", r, err)
		}
		tokens, err := mustOpen(t, path).Tokens(ctx)
		var ids []string
		for _, token := range tokens {
			ids = append(ids, token.ID)
		}
		slices.Sort(ids)
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("in the place of %q: %q, %v, want %q", c.replaced, ids, err, c.want)
		}
	}
}

// A restore is no new beginning: of two that follow each other the second knows as much of tokens as the first.
func TestRestoreAgainKeepsTokensRevoked(t *testing.T) {
	path, backup := filepath.Join(t.TempDir(), "cluster.db"), filepath.Join(t.TempDir(), "copy.db")
	db := mustOpen(t, path)
	b := db.NewBatch()
	b.Set("incarnation", "first")
	for _, id := range []string{"kept", "lent", "lost"} {
		b.Token(Token{ID: id, Role: "read", Hash: []byte{1}, Created: now})
	}
	commit(t, b)
	if _, err := db.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	for life, revoke := range map[string]string{"second": "lent", "third": "lost"} {
		b = db.NewBatch()
		b.RevokeToken(revoke)
		commit(t, b)
		db.Close()
		if _, err := Restore(ctx, backup, path, life, now); err != nil {
			t.Fatal(err)
		}
		db = mustOpen(t, path)
	}
	if tokens, err := db.Tokens(ctx); err != nil || len(tokens) != 1 || tokens[0].ID != "kept" {
		t.Errorf("%+v, %v", tokens, err)
	}
}
