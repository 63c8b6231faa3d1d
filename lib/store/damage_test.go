package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// damaged counts what starts on flipped bytes came to.
type damaged struct{ positions, refused, fine, empty, short int }

// TestDamage flips one bit at a time in a database, in its log and in a backup. Each start afterwards, and each restore, either goes well or is refused with
// a text; none begins with nothing, none without what was acknowledged but the very last transaction, and none panics. Whoever changes what a column says, and not how the page is built, is not noticed: SQLite has no sums of
// pages.
func TestDamage(t *testing.T) {
	positions := 30
	if os.Getenv("RC_PROVE") == "full" {
		positions = 200
	}
	files := damageable(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RC_PROVE_SEED"); s != "" {
		seed = uint64(number(t, s))
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var sum damaged
	for _, which := range []string{"cluster.db", "cluster.db-wal", "backup"} {
		size := len(files[which])
		for i := range positions {
			at := i // of the headers every byte is tried, as far as it goes
			if i >= positions/3 {
				at = random.IntN(size)
			}
			bit := byte(1) << random.IntN(8)
			sum.positions++
			what, err := startDamaged(t, files, which, at, bit)
			switch {
			case what == 0 && err == nil:
				sum.empty++
				t.Errorf("RC_PROVE_SEED=%d: %s, byte %d, bit %#x: began with nothing", seed, which, at, bit)
			case err != nil && len(err.Error()) < 20:
				t.Errorf("RC_PROVE_SEED=%d: %s, byte %d, bit %#x: refused without a text: %v", seed, which, at, bit, err)
			case err != nil:
				sum.refused++
			case what == damageTasks-atOnce && which == "cluster.db-wal": // it looks as if the power had failed while the last was written
				sum.short++
			case what < damageTasks:
				t.Errorf("RC_PROVE_SEED=%d: %s, byte %d, bit %#x: began with %d tasks of %d", seed, which, at, bit, what, damageTasks)
			default:
				sum.fine++
			}
		}
	}
	fmt.Printf("LANE damage seed=%d positions=%d refused=%d fine=%d short=%d empty=%d\n", seed, sum.positions, sum.refused, sum.fine, sum.short, sum.empty)
	if sum.refused == 0 || sum.fine == 0 {
		t.Error("nothing was refused, or everything: the positions are not what they should be")
	}
}

const (
	damageTasks = 300
	atOnce      = 10 // in each of the transactions in the log
)

// damageable makes a database of which half is in the log still, as after a power cut, and a backup of all of it.
func damageable(t *testing.T) map[string][]byte {
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.db")
	db := mustOpen(t, path)
	submitTasks(t, db, 1, damageTasks/2)
	if _, err := db.w.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	for i := damageTasks / 2; i < damageTasks; i += atOnce {
		submitTasks(t, db, task.ID(1+i), atOnce)
	}
	if _, err := db.Backup(ctx, filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range []string{"cluster.db", "cluster.db-wal", "backup"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(b) < 100 {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
		files[name] = b
	}
	return files
}

// startDamaged starts on files of which one has a flipped bit; what is how many tasks are there then.
func startDamaged(t *testing.T, files map[string][]byte, which string, at int, bit byte) (what int, err error) {
	dir, path := t.TempDir(), ""
	for name, content := range files {
		if (name == "backup") != (which == "backup") {
			continue // a backup is restored where there is nothing
		}
		if name == which {
			content = append([]byte(nil), content...)
			content[at] ^= bit
		}
		path = filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s, byte %d, bit %#x: panic: %v\n%s", which, at, bit, p, debug.Stack())
		}
	}()
	path = filepath.Join(dir, "cluster.db")
	if which == "backup" {
		if _, err := Restore(ctx, filepath.Join(dir, "backup"), path, "x", now); err != nil {
			return 0, err
		}
	}
	db, err := Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return readAll(db)
}

// readAll reads what a main node reads at its start, and what people ask for.
func readAll(db *DB) (tasks int, err error) {
	all, err := db.Tasks(ctx, Filter{}, 0, 1<<20, false)
	_, err1 := db.Meta(ctx)
	_, err2 := db.Devices(ctx)
	_, err3 := db.Tokens(ctx)
	_, err4 := db.Invites(ctx)
	_, err5 := db.Events(ctx, 0, 1<<20)
	_, _, _, err6 := db.Counts(ctx, now)
	err7 := db.TouchedTasks(ctx, func(task.Task, *Attempt) {})
	err8 := db.EachUntouched(ctx, func(*NewTask) {})
	return len(all), errors.Join(err, err1, err2, err3, err4, err5, err6, err7, err8)
}

// TestLargeDatabaseIsCheckedLater opens a damaged database as a large one, which is not checked before it is in use.
func TestLargeDatabaseIsCheckedLater(t *testing.T) {
	was := checkedAtOnce
	defer func() { checkedAtOnce = was }()
	path := filepath.Join(t.TempDir(), "cluster.db")
	db := mustOpen(t, path)
	submitTasks(t, db, 1, 500)
	if err := db.CheckPages(ctx); err != nil || db.Large() {
		t.Errorf("a sound one: %v", err)
	}
	db.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		b[len(b)/4096/2*4096+i] ^= 0x55 // a page in the middle of a table
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path); !errors.Is(err, ErrDamaged) {
		t.Errorf("a small one was opened: %v", err)
	}
	checkedAtOnce = 1000
	db = mustOpen(t, path)
	if err := db.CheckPages(ctx); !errors.Is(err, ErrDamaged) || !db.Large() {
		t.Errorf("a large one: %v", err)
	}
}

// TestNonsense changes rows in ways that no check of pages sees, and with which a main node cannot go on.
func TestNonsense(t *testing.T) {
	for what, q := range map[string]string{
		"a state that there is not":  "UPDATE tasks SET state=0 WHERE id=2",
		"an attempt that is missing": "DELETE FROM attempts WHERE task=2",
		"a number that is a text":    "UPDATE tasks SET retries='many' WHERE id=2",
		"requirements, not in JSON":  "UPDATE tasks SET requirements='{' WHERE id=2",
	} {
		db := newDB(t)
		submitTasks(t, db, 1, 5)
		if _, err := db.w.Exec(q); err != nil {
			t.Fatal(err)
		}
		if err := db.TouchedTasks(ctx, func(task.Task, *Attempt) {}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
