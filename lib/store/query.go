package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const taskColumns = `id, job, type, name, priority, timeout, retries, payload, requirements, submitted, exclusive, at_most_once, backoff, retry_on, provision,
	state, attempt, device, reason, failures, losses, eligible, started, finished, exit_code, output`

type scanner interface{ Scan(...any) error }

// querier is a database, or a transaction in one.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func scanTask(row scanner) (t task.Task, err error) {
	var payload, needs, retryOn, provision sql.NullString
	var submitted, eligible, started, finished, exit sql.NullInt64
	err = row.Scan(&t.ID, &t.Job, &t.Type, &t.Name, &t.Priority, &t.Timeout, &t.Retries, &payload, &needs, &submitted,
		&t.Exclusive, &t.AtMostOnce, &t.Backoff, &retryOn, &provision, &t.State, &t.Attempt, &t.Device, &t.Reason,
		&t.Failures, &t.Losses, &eligible, &started, &finished, &exit, &t.Output)
	if err != nil {
		return t, err
	}
	if payload.Valid {
		t.Payload = json.RawMessage(payload.String)
	}
	if needs.Valid {
		err = json.Unmarshal([]byte(needs.String), &t.Requirements)
	}
	if retryOn.Valid && err == nil {
		err = json.Unmarshal([]byte(retryOn.String), &t.RetryOn)
	}
	if provision.Valid && err == nil {
		err = json.Unmarshal([]byte(provision.String), &t.Provision)
	}
	t.Submitted = fromMS(submitted)
	t.Eligible, t.Started, t.Finished, t.ExitCode = timePtr(eligible), timePtr(started), timePtr(finished), intPtr(exit)
	return t, err
}

// Task reads one task, without its attempts. The error is task.ErrNotFound where there is none.
func (db *DB) Task(ctx context.Context, id task.ID) (task.Task, error) {
	t, err := scanTask(db.r.QueryRowContext(ctx, "SELECT "+taskColumns+" FROM tasks WHERE id=?", id))
	if errors.Is(err, sql.ErrNoRows) {
		err = task.ErrNotFound
	}
	if err != nil {
		return t, fmt.Errorf("task %s: %w", id, err)
	}
	return t, nil
}

// ErrNoSecrets is that none of a task are kept.
var ErrNoSecrets = errors.New("none are kept")

// Secrets reads the secrets of a task that is not over. The error is ErrNoSecrets where there are none.
func (db *DB) Secrets(ctx context.Context, id task.ID) (s task.Secrets, err error) {
	var vars []byte
	switch err = db.r.QueryRowContext(ctx, "SELECT vars FROM secrets WHERE task=?", id).Scan(&vars); {
	case err == nil:
		err = json.Unmarshal(vars, &s)
	case errors.Is(err, sql.ErrNoRows):
		err = ErrNoSecrets
	}
	if err != nil {
		return nil, fmt.Errorf("secrets of task %s: %w", id, err)
	}
	return s, nil
}

// Attempts reads the attempts of a task, oldest first.
func (db *DB) Attempts(ctx context.Context, id task.ID) ([]Attempt, error) {
	return query(ctx, db.r, scanAttempt, "SELECT "+attemptColumns+" FROM attempts WHERE task=? ORDER BY number", id)
}

const attemptColumns = `task, number, lease, device, outcome, reason, leased, started, finished, exit_code, wall, cpu, memory, output, files`

func scanAttempt(row scanner) (a Attempt, err error) {
	var leased, started, finished, exit sql.NullInt64
	var files sql.NullString
	err = row.Scan(&a.Task, &a.Number, &a.Lease, &a.Device, &a.Outcome, &a.Reason, &leased, &started, &finished, &exit,
		&a.Wall, &a.Metrics.CPUTime, &a.Metrics.MemoryPeak, &a.Output, &files)
	if files.Valid && err == nil {
		err = json.Unmarshal([]byte(files.String), &a.Files)
	}
	a.Leased, a.Started, a.Finished, a.ExitCode = fromMS(leased), timePtr(started), timePtr(finished), intPtr(exit)
	return a, err
}

// Attempt reads one attempt; ok is false where there is none.
func (db *DB) Attempt(ctx context.Context, id task.ID, number int) (a Attempt, ok bool, err error) {
	found, err := query(ctx, db.r, scanAttempt, "SELECT "+attemptColumns+" FROM attempts WHERE task=? AND number=?", id, number)
	if err != nil || len(found) == 0 {
		return a, false, err
	}
	return found[0], true, nil
}

// Filter selects tasks; what is not set selects all.
type Filter struct {
	States []task.State
	Device string
	Job    task.JobID
	Tasks  []task.ID
	Owner  string // of the jobs
	Since  time.Time
}

// Tasks reads at most limit tasks in order of submission, after one that is given; or, newest first, before it.
func (db *DB) Tasks(ctx context.Context, f Filter, after task.ID, limit int, newest bool) ([]task.Task, error) {
	where, args := f.where()
	order := "ASC"
	if newest {
		order = "DESC"
	}
	if after != 0 {
		where = append(where, map[bool]string{false: "id > ?", true: "id < ?"}[newest])
		args = append(args, after)
	}
	q := "SELECT " + taskColumns + " FROM tasks"
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	return query(ctx, db.r, scanTask, fmt.Sprintf("%s ORDER BY id %s LIMIT %d", q, order, limit), args...)
}

// TaskIDs reads the numbers of all tasks that a filter selects, in order of submission.
func (db *DB) TaskIDs(ctx context.Context, f Filter) ([]task.ID, error) {
	where, args := f.where()
	q := "SELECT id FROM tasks"
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	return query(ctx, db.r, func(row scanner) (id task.ID, err error) { return id, row.Scan(&id) }, q+" ORDER BY id", args...)
}

func (f *Filter) where() (where []string, args []any) {
	if len(f.States) > 0 {
		where = append(where, stateClause(f.States))
	}
	if f.Device != "" {
		where, args = append(where, "device = ?"), append(args, f.Device)
	}
	if f.Job != 0 {
		where = append(where, "id BETWEEN ? AND (SELECT last FROM jobs WHERE jobs.id = ?) AND job = ?")
		args = append(args, f.Job, f.Job, f.Job)
	}
	if len(f.Tasks) > 0 {
		where = append(where, "id IN ("+list(f.Tasks)+")")
	}
	if f.Owner != "" {
		where, args = append(where, "job IN (SELECT id FROM jobs WHERE owner = ? AND owner <> '')"), append(args, f.Owner)
	}
	if !f.Since.IsZero() {
		where, args = append(where, "submitted >= ?"), append(args, f.Since.UnixMilli())
	}
	return where, args
}

// stateClause lets the index of open tasks serve where only open ones are wanted.
func stateClause(states []task.State) string {
	c := "state IN (" + list(states) + ")"
	for _, s := range states {
		if s.Ended() {
			return c
		}
	}
	return c + " AND state < 4"
}

// Resolve finds the one task whose id begins so. Errors are task.ErrBadID, task.ErrNotFound and task.ErrAmbiguous.
func (db *DB) Resolve(ctx context.Context, text string) (task.ID, error) {
	if id, err := task.ParseID(text); err == nil {
		return id, nil
	}
	p, err := task.ParsePrefix(text)
	if err != nil {
		return 0, err
	}
	rows, err := db.r.QueryContext(ctx, "SELECT id FROM tasks ORDER BY id DESC")
	if err != nil {
		return 0, classify(err)
	}
	defer rows.Close()
	var found task.ID
	for rows.Next() {
		var id task.ID
		if err := rows.Scan(&id); err != nil {
			return 0, classify(err)
		}
		if !p.Matches(id) {
			continue
		}
		if found != 0 {
			return 0, fmt.Errorf("%s: %w", text, task.ErrAmbiguous)
		}
		found = id
	}
	if found == 0 && rows.Err() == nil {
		return 0, fmt.Errorf("%s: %w", text, task.ErrNotFound)
	}
	return found, rows.Err()
}

// untouched selects the tasks that wait and were never given to a device.
const untouched = "state = 1 AND state < 4 AND attempt = 0"

// Untouched reads at most limit tasks, and not many more than untouchedBytes, from a number on that wait and were never given to a device, in order of submission.
func (db *DB) Untouched(ctx context.Context, from task.ID, limit int) ([]NewTask, error) {
	rows, err := db.r.QueryContext(ctx, "SELECT "+taskColumns+" FROM tasks WHERE id >= ? AND "+untouched+" ORDER BY id LIMIT ?", from, limit)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var found []NewTask
	for size := 0; size < untouchedBytes && rows.Next(); {
		t, err := scanTask(rows)
		if err != nil {
			return nil, unreadable(err)
		}
		size += len(t.Payload)
		found = append(found, NewTask{ID: t.ID, Job: t.Job, Spec: t.Spec, Submitted: t.Submitted})
	}
	return found, classify(rows.Err())
}

// untouchedBytes is how much of payloads Untouched reads, but for the last one.
const untouchedBytes = 1 << 20

// EachUntouched calls yield for every task that waits and was never given to a device, in order of submission, with what decides on its place in the queue.
func (db *DB) EachUntouched(ctx context.Context, yield func(*NewTask)) error {
	rows, err := db.r.QueryContext(ctx, "SELECT id, submitted, priority, type, requirements FROM tasks INDEXED BY tasks_open WHERE "+untouched+" ORDER BY id")
	if err != nil {
		return classify(err)
	}
	defer rows.Close()
	var n NewTask
	var submitted int64
	var taskType, needs, lastNeeds sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&n.ID, &submitted, &n.Spec.Priority, &taskType, &needs); err != nil {
			return unreadable(err)
		}
		if string(taskType) != n.Spec.Type {
			n.Spec.Type = string(taskType)
		}
		if !bytes.Equal(needs, lastNeeds) {
			n.Spec.Requirements, lastNeeds = task.Requirements{}, bytes.Clone(needs)
			if len(needs) > 0 {
				if err := json.Unmarshal(needs, &n.Spec.Requirements); err != nil {
					return unreadable(err)
				}
			}
		}
		n.Submitted = time.UnixMilli(submitted)
		yield(&n)
	}
	return classify(rows.Err())
}

// TouchedTasks calls yield for every other task that is not over, in order of submission, with its newest attempt where it has one.
func (db *DB) TouchedTasks(ctx context.Context, yield func(task.Task, *Attempt)) error {
	attempts, err := query(ctx, db.r, scanAttempt, "SELECT "+attemptColumns+` FROM attempts WHERE (task, number) IN
		(SELECT id, attempt FROM tasks WHERE state IN (1,2,3) AND state < 4 AND attempt > 0)`)
	if err != nil {
		return err
	}
	byTask := make(map[task.ID]*Attempt, len(attempts))
	for i := range attempts {
		byTask[attempts[i].Task] = &attempts[i]
	}
	// The body stays on disk: it is read when the task is assigned.
	columns := strings.Replace(taskColumns, "payload", "NULL", 1)
	rows, err := db.r.QueryContext(ctx, "SELECT "+columns+" FROM tasks INDEXED BY tasks_open WHERE state < 4 AND NOT ("+untouched+") ORDER BY id")
	if err != nil {
		return classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scanTask(rows)
		if err == nil {
			err = sensible(&t, byTask[t.ID])
		}
		if err != nil {
			return unreadable(err)
		}
		yield(t, byTask[t.ID])
	}
	return classify(rows.Err())
}

// sensible says whether an open task is in a state that there is, and has the attempt that belongs to that.
func sensible(t *task.Task, last *Attempt) error {
	switch {
	case t.State == task.Queued:
		return nil
	case t.State != task.Assigned && t.State != task.Running:
		return fmt.Errorf("task %s is in the state %d", t.ID, t.State)
	case last == nil:
		return fmt.Errorf("task %s is %s, and its attempt %d is not there", t.ID, t.State, t.Attempt)
	}
	return nil
}

// OwnsFile says whether a file of the depot belongs to a task of an owner.
func (db *DB) OwnsFile(ctx context.Context, sum, owner string) (owned bool, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM files, tasks, jobs WHERE sum=? AND tasks.id=files.task AND jobs.id=tasks.job AND jobs.owner=?)", sum, owner).Scan(&owned)
	return owned, classify(err)
}

// Audit reads at most limit lines of the audit log after a number.
func (db *DB) Audit(ctx context.Context, after int64, limit int) ([]Audited, error) {
	return query(ctx, db.r, scanAudited, "SELECT seq, line, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
}

// LastAudited is the newest line of the audit log; the zero value where there is none.
func (db *DB) LastAudited(ctx context.Context) (a Audited, err error) {
	last, err := query(ctx, db.r, scanAudited, "SELECT seq, line, hash FROM audit ORDER BY seq DESC LIMIT 1")
	if len(last) > 0 {
		a = last[0]
	}
	return a, err
}

func scanAudited(row scanner) (a Audited, err error) { return a, row.Scan(&a.Seq, &a.Line, &a.Hash) }

// WantsFile says whether a file of the depot belongs to a task.
func (db *DB) WantsFile(ctx context.Context, sum string) (wanted bool, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM files WHERE sum=?)", sum).Scan(&wanted)
	return wanted, classify(err)
}

// JobOwner says whether tasks were submitted as this job, and whose it is.
func (db *DB) JobOwner(ctx context.Context, job task.JobID) (owner string, known bool, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT owner FROM jobs WHERE id=?", job).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return owner, err == nil, classify(err)
}

// Output reads what an attempt printed, from a position on, at most about limit bytes.
func (db *DB) Output(ctx context.Context, id task.ID, attempt int, position int64, limit int) ([]task.Chunk, error) {
	rows, err := db.r.QueryContext(ctx, `SELECT position, stream, after, data FROM output WHERE task=? AND attempt=? AND position >= coalesce(
		(SELECT max(position) FROM output WHERE task=? AND attempt=? AND position <= ?), 0) ORDER BY position`, id, attempt, id, attempt, position)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var chunks []task.Chunk
	for size := 0; rows.Next() && size < limit; {
		var c task.Chunk
		var after int64
		if err := rows.Scan(&c.Position, &c.Stream, &after, &c.Data); err != nil {
			return nil, classify(err)
		}
		c.After = time.Duration(after) * time.Millisecond
		if skip := position - c.Position; skip > 0 {
			c.Data, c.Position = c.Data[min(skip, int64(len(c.Data))):], position
		}
		if len(c.Data) > 0 {
			chunks = append(chunks, c)
			size += len(c.Data)
		}
	}
	return chunks, classify(rows.Err())
}

// Keys reads the stretches of a key that have any of the count tasks from index on.
func (db *DB) Keys(ctx context.Context, principal, key string, index, count int) ([]Key, error) {
	return query(ctx, db.r, func(row scanner) (k Key, err error) {
		k.Principal, k.Key = principal, key
		return k, row.Scan(&k.Index, &k.Count, &k.First)
	}, "SELECT idx, count, first FROM keys WHERE principal=? AND key=? AND idx < ? AND idx+count > ? ORDER BY idx", principal, key, index+count, index)
}

// Counts says how many tasks are in each state, how many were completed at a time or later, and how many bytes of output are kept.
func (db *DB) Counts(ctx context.Context, since time.Time) (byState map[task.State]int64, completed, output int64, err error) {
	byState = map[task.State]int64{}
	rows, err := db.r.QueryContext(ctx, "SELECT state, count(*) FROM tasks GROUP BY state")
	if err != nil {
		return nil, 0, 0, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s task.State
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, 0, 0, classify(err)
		}
		byState[s] = n
	}
	if err = db.r.QueryRowContext(ctx, "SELECT coalesce(sum(output), 0) FROM attempts").Scan(&output); err != nil {
		return nil, 0, 0, classify(err)
	}
	err = db.r.QueryRowContext(ctx, "SELECT count(*) FROM tasks WHERE finished >= ? AND state=?", since.UnixMilli(), task.Completed).Scan(&completed)
	return byState, completed, output, classify(err)
}

// Meta reads the values of the cluster itself.
func (db *DB) Meta(ctx context.Context) (map[string]string, error) {
	type pair struct{ key, value string }
	pairs, err := query(ctx, db.r, func(row scanner) (p pair, err error) {
		return p, row.Scan(&p.key, &p.value)
	}, "SELECT key, CAST(value AS TEXT) FROM meta")
	m := map[string]string{}
	for _, p := range pairs {
		m[p.key] = p.value
	}
	return m, err
}

func query[T any](ctx context.Context, db querier, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, unreadable(err)
		}
		found = append(found, v)
	}
	return found, classify(rows.Err())
}
