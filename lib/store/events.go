package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
)

// Events reads at most limit events after a number.
func (db *DB) Events(ctx context.Context, after int64, limit int) ([]cluster.Event, error) {
	return query(ctx, db.r, scanEvent, `SELECT seq, at, kind, device, job, task, attempt, state, exit_code, count, output, reason FROM events
		WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
}

func scanEvent(row scanner) (e cluster.Event, err error) {
	var at, exit sql.NullInt64
	err = row.Scan(&e.Seq, &at, &e.Kind, &e.Device, &e.Job, &e.Task, &e.Attempt, &e.State, &exit, &e.Count, &e.Output, &e.Reason)
	e.Time, e.ExitCode = fromMS(at), intPtr(exit)
	return e, err
}

// EventSince is the number before that of the first event at a time or later.
func (db *DB) EventSince(ctx context.Context, at time.Time) (seq int64, err error) {
	// The numbers grow with time but for a clock that was set back; a scan from the newest back stops at the first that is older.
	err = db.r.QueryRowContext(ctx, "SELECT coalesce((SELECT seq FROM events WHERE at < ? ORDER BY seq DESC LIMIT 1), 0)", at.UnixMilli()).Scan(&seq)
	return seq, classify(err)
}

// EventBefore is the number before that of the n-th event from the end: a restore leaves some out.
func (db *DB) EventBefore(ctx context.Context, n int) (seq int64, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT coalesce((SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?), 0)", n).Scan(&seq)
	return seq, classify(err)
}

// LastEvent is the number of the newest event.
func (db *DB) LastEvent(ctx context.Context) (seq int64, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM events").Scan(&seq)
	return seq, classify(err)
}
