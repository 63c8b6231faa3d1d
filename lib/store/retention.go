package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Keep bounds what is kept of the past. A zero bounds nothing.
type Keep struct {
	TasksFor    time.Duration // after they ended
	Tasks       int64         // that ended
	OutputBytes int64         // of tasks that ended
	Events      int64
	Audit       int64 // lines
	KeysFor     time.Duration
}

// Pruned says what Prune removed. Ended and OutputBytes are of tasks.
type Pruned struct {
	Ended       map[task.State]int64
	OutputBytes int64
	More        bool // there is more to remove: call again
}

const pruneAtOnce = 500 // rows in a transaction, so that nobody waits long behind it

// longLog is from how many bytes on the write-ahead log is looked after: by then SQLite has tried to shorten it many times, and keeps to itself why
// that failed.
const longLog = 16 << 20

// Checkpoint brings a long write-ahead log into the database, as far as no reader is in the way. An error means that the disk does not take it.
func (db *DB) Checkpoint(ctx context.Context) error {
	if _, wal := db.Size(); wal < longLog {
		return nil
	}
	_, err := db.w.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	if err = classify(err); err == nil || errors.Is(err, ErrFull) {
		return nil
	}
	return fmt.Errorf("shorten the write-ahead log: %w", err)
}

// Prune removes the oldest of what is not to be kept, a little at a time. ended and output say what there is.
func (db *DB) Prune(ctx context.Context, k Keep, now time.Time, ended, output int64) (p Pruned, err error) {
	p.Ended = map[task.State]int64{}
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return p, fmt.Errorf("prune: %w", classify(err))
	}
	defer tx.Rollback()
	for _, f := range []func() error{
		func() error { return p.tasks(ctx, tx, k, now, ended, output) },
		func() error { return p.events(ctx, tx, k) },
		func() error { return p.audit(ctx, tx, k) },
		func() error { return p.keys(ctx, tx, k, now) },
	} {
		if err := f(); err != nil {
			return Pruned{}, fmt.Errorf("prune: %w", classify(err))
		}
	}
	if err := tx.Commit(); err != nil {
		return Pruned{}, fmt.Errorf("prune: %w", classify(err))
	}
	_, err = db.w.ExecContext(ctx, "PRAGMA incremental_vacuum(256)") // a mebibyte a time back to the file system
	return p, classify(err)
}

type oldTask struct {
	id       task.ID
	state    task.State
	finished int64
	output   int64
}

func (p *Pruned) tasks(ctx context.Context, tx *sql.Tx, k Keep, now time.Time, ended, output int64) error {
	past := func(t oldTask) bool {
		return k.TasksFor > 0 && t.finished < now.Add(-k.TasksFor).UnixMilli() || k.Tasks > 0 && ended > k.Tasks
	}
	much := func(oldTask) bool { return k.OutputBytes > 0 && output > k.OutputBytes }
	if err := p.remove(ctx, tx, "", past, &ended, &output); err != nil {
		return err
	}
	return p.remove(ctx, tx, "AND output > 0", much, &ended, &output) // what printed nothing makes no room
}

// remove removes ended tasks, oldest first, as long as they are to go.
func (p *Pruned) remove(ctx context.Context, tx *sql.Tx, which string, goes func(oldTask) bool, ended, output *int64) error {
	oldest, err := oldestTasks(ctx, tx, which)
	if err != nil {
		return err
	}
	for _, t := range oldest {
		if !goes(t) {
			return nil
		}
		for _, q := range []string{"DELETE FROM output WHERE task=?", "DELETE FROM attempts WHERE task=?", "DELETE FROM files WHERE task=?", "DELETE FROM tasks WHERE id=?"} {
			if _, err := tx.ExecContext(ctx, q, t.id); err != nil {
				return err
			}
		}
		*ended, *output = *ended-1, *output-t.output
		p.Ended[t.state]++
		p.OutputBytes += t.output
	}
	p.More = p.More || len(oldest) == pruneAtOnce
	return nil
}

func oldestTasks(ctx context.Context, tx *sql.Tx, which string) (oldest []oldTask, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, state, finished, (SELECT coalesce(sum(output), 0) FROM attempts WHERE task = tasks.id) FROM tasks
		WHERE finished IS NOT NULL AND state >= 4 `+which+` ORDER BY finished LIMIT ?`, pruneAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t oldTask
		if err := rows.Scan(&t.id, &t.state, &t.finished, &t.output); err != nil {
			return nil, err
		}
		oldest = append(oldest, t)
	}
	return oldest, rows.Err()
}

func (p *Pruned) events(ctx context.Context, tx *sql.Tx, k Keep) error {
	if k.Events <= 0 {
		return nil
	}
	gaps, err := eventGaps(ctx, tx)
	if err != nil {
		return err
	}
	var newest int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM events").Scan(&newest); err != nil {
		return err
	}
	r, err := tx.ExecContext(ctx, "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ? ORDER BY seq LIMIT ?)",
		oldestKept(newest, k.Events, gaps), 4*pruneAtOnce)
	return p.note(r, err, 4*pruneAtOnce)
}

func (p *Pruned) keys(ctx context.Context, tx *sql.Tx, k Keep, now time.Time) error {
	if k.KeysFor > 0 {
		r, err := tx.ExecContext(ctx, `DELETE FROM keys WHERE (principal, key, idx) IN (SELECT principal, key, idx FROM keys WHERE at < ? LIMIT ?)`,
			now.Add(-k.KeysFor).UnixMilli(), pruneAtOnce)
		if err := p.note(r, err, pruneAtOnce); err != nil {
			return err
		}
	}
	// A job's tasks have higher numbers than itself, so only the beginning of the jobs is looked at.
	r, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id < (SELECT min(id) FROM tasks) AND last < (SELECT min(id) FROM tasks)
		ORDER BY id LIMIT ?)`, pruneAtOnce)
	if err := p.note(r, err, pruneAtOnce); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM invites WHERE expires < ?", now.Add(-24*time.Hour).UnixMilli())
	return err
}

func (p *Pruned) note(r sql.Result, err error, most int64) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	p.More = p.More || n == most
	return err
}
