package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
)

// A database that is restored is a fork of history: after the backup was made the main node has given out numbers of tasks, attempts and events that
// the backup knows nothing of, and that people, scripts and devices may still hold. None of them is given out again.
const (
	forkTasks    = 1 << 30 // left out of the numbers of tasks, of which there are 2^40
	forkEvents   = 1 << 30 // left out of the numbers of events
	forkAttempts = 1000    // left out of the numbers of attempts of every task that the backup knows
)

// Keys of Meta that a restore writes, beside incarnation and next_task.
const (
	MetaAttemptFloor = "attempt_floor" // the smallest number of the next attempt of an older task
	MetaForkTask     = "fork_task"     // tasks from this number on are not older
	MetaRestored     = "restored_from" // the backup's name, until the audit log has it
	metaLives        = "former_lives"  // incarnations that this database went on from, with a space behind each
	metaForkEvents   = "fork_events_"  // + the first number after the fork: the last one before it
)

// asideInfix is in the name of a database that a restore replaced.
const asideInfix = ".before-restore-"

// Restored says what Restore did.
type Restored struct {
	From  Report
	Aside string // where the database is now that was there before; "" where there was none
	Known bool   // which tokens have been revoked since then: they stay so
}

// Restore puts a backup in the place of a database that no main node works on; what was there is kept beside it. The incarnation makes devices notice
// that it is not the main node which they knew. Nothing is changed before the backup was found to be good. Errors are those of Inspect and
// Open.
func Restore(ctx context.Context, from, path, incarnation string, now time.Time) (Restored, error) {
	r, err := restore(ctx, from, path, incarnation, now)
	if err != nil {
		return r, fmt.Errorf("restore %s as %s: %w", from, path, classify(err))
	}
	return r, nil
}

func restore(ctx context.Context, from, path, incarnation string, now time.Time) (r Restored, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return r, err
	}
	lock, err := cli.Lock(filepath.Join(filepath.Dir(path), lockName))
	if errors.Is(err, cli.ErrLocked) {
		return r, ErrInUse
	} else if err != nil {
		return r, err
	}
	defer lock.Close()
	if a, err := os.Stat(from); err == nil {
		if b, err := os.Stat(path); err == nil && os.SameFile(a, b) {
			return r, errors.New("that is the database itself")
		}
	}
	if r.From, err = inspect(ctx, from, false, alone(from)); err != nil {
		return r, err
	}
	fresh := path + ".restoring"
	if r.Known, err = fork(ctx, from, fresh, path, incarnation, now); err != nil {
		os.Remove(fresh)
		return r, err
	}
	r.Aside, err = replace(fresh, path, now)
	return r, err
}

// fork makes the copy that becomes the database in the place of an old one, and says whether it knows which tokens have been revoked since.
func fork(ctx context.Context, from, fresh, old, incarnation string, now time.Time) (known bool, err error) {
	f, err := os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := errors.Join(f.Chmod(0o600), sameOwner(f, filepath.Dir(fresh)), copyPages(ctx, from, fresh)); err != nil {
		return false, err
	}
	if known, err = writeFork(ctx, from, fresh, old, incarnation, now); err != nil {
		return false, err
	}
	if _, err := inspect(ctx, fresh, false, true); err != nil {
		return false, fmt.Errorf("the copy: %w", err)
	}
	return known, f.Sync()
}

// writeFork leaves out the numbers that may be in use, in a file that is nothing but itself: no log is beside it when it is closed.
func writeFork(ctx context.Context, from, fresh, old, incarnation string, now time.Time) (known bool, err error) {
	db, err := open(fresh, "rwc", 1)
	if err != nil {
		return false, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if known, err = keepRevoked(ctx, tx, old); err != nil {
		return false, err
	}
	if err := leaveOut(ctx, tx, filepath.Base(from), incarnation, now); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, err
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return known, errors.Join(err, db.Close())
}

func leaveOut(ctx context.Context, tx *sql.Tx, from, incarnation string, now time.Time) error {
	var next, attempt, event int64
	err := tx.QueryRowContext(ctx, `SELECT max(coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key='next_task'), 1), 1+coalesce((SELECT max(id) FROM tasks), 0)),
		max(coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key=?), 0), coalesce((SELECT max(attempt) FROM tasks), 0)),
		coalesce((SELECT max(seq) FROM events), 0)`, MetaAttemptFloor).Scan(&next, &attempt, &event)
	if err != nil {
		return err
	}
	lives, err := livesOf(ctx, tx)
	if err != nil {
		return err
	}
	next, attempt = next+forkTasks, attempt+forkAttempts
	firstEvent := event + forkEvents
	for key, value := range map[string]any{"incarnation": incarnation, "next_task": next, MetaForkTask: next, MetaAttemptFloor: attempt, MetaRestored: from, metaLives: strings.Join(lives, " ") + " ",
		metaForkEvents + strconv.FormatInt(firstEvent, 10): event} {
		if _, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value`, key, value); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO events (seq, at, kind, reason) VALUES (?,?,?,?)", firstEvent, now.UnixMilli(), cluster.MainRestored, "from "+from); err != nil {
		return err
	}
	// What was used, or has ended, since then must not be good again.
	if _, err := tx.ExecContext(ctx, "DELETE FROM invites"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM tokens WHERE kind <> ?", TokenKept)
	return err
}

// keepRevoked takes over from the database before the restore what was revoked since the backup, as far as that can be read: there may be none, or it may
// be damaged.
func keepRevoked(ctx context.Context, tx *sql.Tx, old string) (known bool, err error) {
	if _, err := os.Stat(old); err != nil {
		return false, nil
	}
	db, err := open(old, "ro", 1)
	if err != nil {
		return false, nil
	}
	defer db.Close()
	barred, err := query(ctx, db, scanRevoked, selectRevoked)
	if err != nil {
		return false, nil
	}
	for _, r := range barred {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO revoked (fingerprint, device, at) VALUES (?,?,?)", r.Fingerprint, r.Device, ms(r.At)); err != nil {
			return false, err
		}
	}
	return dropRevokedTokens(ctx, tx, db)
}

// dropRevokedTokens ends the tokens that are in the backup and not in the database after it. A database that did not go on from the backup, as one that
// was begun anew when the disk was lost, says nothing of that.
func dropRevokedTokens(ctx context.Context, tx *sql.Tx, old *sql.DB) (known bool, err error) {
	id := func(row scanner) (s string, err error) { return s, row.Scan(&s) }
	since, errSince := livesOf(ctx, old)
	kept, errKept := query(ctx, old, id, "SELECT id FROM tokens")
	if errSince != nil || errKept != nil {
		return false, nil
	}
	lives, err := livesOf(ctx, tx)
	if err != nil || len(lives) == 0 || !slices.Contains(since, lives[len(lives)-1]) {
		return false, err
	}
	ids, err := query(ctx, tx, id, "SELECT id FROM tokens")
	for _, id := range ids {
		if !slices.Contains(kept, id) && err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM tokens WHERE id = ?", id)
		}
	}
	return err == nil, err
}

// livesOf is the incarnations of a database, its own the last: a restore begins a new one.
func livesOf(ctx context.Context, db querier) ([]string, error) {
	text, err := query(ctx, db, func(row scanner) (s string, err error) { return s, row.Scan(&s) },
		"SELECT coalesce((SELECT CAST(value AS TEXT) FROM meta WHERE key=?), '') || coalesce((SELECT CAST(value AS TEXT) FROM meta WHERE key='incarnation'), '')", metaLives)
	if err != nil {
		return nil, err
	}
	return strings.Fields(text[0]), nil
}

// replace puts the fresh database in the place of the one that is there. Wherever that is interrupted, Open refuses to begin with nothing, and
// another restore ends it: the log is moved after the database that it belongs to, and nothing is removed but the index of that log.
func replace(fresh, path string, now time.Time) (aside string, err error) {
	aside = path + asideInfix + now.UTC().Format(backupTime)
	for n := 1; exists(aside) || exists(aside+"-wal"); n++ {
		aside = fmt.Sprintf("%s%s%s-%d", path, asideInfix, now.UTC().Format(backupTime), n)
	}
	if fi, err := os.Stat(path + "-wal"); err == nil && fi.Size() == 0 {
		os.Remove(path + "-wal") // a main node that ended well left nothing in it
	}
	moved := false
	for _, suffix := range []string{"", "-wal", "-journal"} {
		switch err := os.Rename(path+suffix, aside+suffix); {
		case err == nil:
			moved = true
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", err
	}
	if !moved {
		aside = ""
	}
	return aside, syncDir(filepath.Dir(path))
}

// gap is what a restore left out of the numbers of events: after last comes first.
type gap struct{ last, first int64 }

// eventGaps reads the gaps, newest first.
func eventGaps(ctx context.Context, tx *sql.Tx) ([]gap, error) {
	rows, err := tx.QueryContext(ctx, "SELECT substr(key, ?), CAST(value AS INTEGER) FROM meta WHERE key GLOB ?", len(metaForkEvents)+1, metaForkEvents+"*")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var gaps []gap
	for rows.Next() {
		var g gap
		if err := rows.Scan(&g.first, &g.last); err != nil {
			return nil, err
		}
		gaps = append(gaps, g)
	}
	slices.SortFunc(gaps, func(a, b gap) int { return cmp.Compare(b.first, a.first) })
	return gaps, rows.Err()
}

// oldestKept is the number after which come at most keep events up to newest.
func oldestKept(newest, keep int64, gaps []gap) int64 {
	after := newest - keep
	for _, g := range gaps {
		if after < g.first-1 {
			after -= g.first - g.last - 1
		}
	}
	return after
}
