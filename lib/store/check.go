package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Report says what is in a database file.
type Report struct {
	Path      string
	Size      int64 // bytes, without what is only in the write-ahead log
	Version   int   // of the schema
	Tasks     int64
	Open      int64 // tasks that have not ended
	Devices   int64
	LastEvent int64
	LastTime  time.Time // of that event
}

// Inspect looks at a database or a backup without changing anything, also while a main node works on it. The error is ErrDamaged,
// ErrForeign, ErrNewer, or one of the file system; quick leaves out what needs all indexes to be compared.
func Inspect(ctx context.Context, path string, quick bool) (Report, error) {
	r, err := inspect(ctx, path, quick, alone(path))
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, classify(err))
	}
	return r, nil
}

func inspect(ctx context.Context, path string, quick, alone bool) (Report, error) {
	r := Report{Path: path}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return r, bare(err)
	case fi.IsDir():
		return r, errors.New("a folder; a database is a file")
	case fi.Size() == 0:
		return r, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	r.Size = fi.Size()
	if err := checkHeader(path); err != nil {
		return r, bare(err)
	}
	if err := checkLog(path); err != nil {
		return r, err
	}
	db, err := openToRead(path, alone)
	if err != nil {
		return r, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	if err := checkAll(ctx, conn, quick); err != nil {
		return r, err
	}
	return r, r.count(ctx, conn)
}

// alone says whether a file is one that no main node works on, such as a backup.
func alone(path string) bool {
	return !exists(path+"-wal") && !exists(filepath.Join(filepath.Dir(path), lockName))
}

// openToRead opens a file that another process may be writing. One that is alone is read as it is: no other file is made beside it.
func openToRead(path string, alone bool) (*sql.DB, error) {
	v := url.Values{"mode": {"ro"}, "_busy_timeout": {"5000"}, "_query_only": {"on"}}
	if alone {
		v.Set("immutable", "1")
	}
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+v.Encode())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// checkAll has SQLite look at every page, and the foreign keys.
func checkAll(ctx context.Context, conn *sql.Conn, quick bool) error {
	if _, err := conn.ExecContext(ctx, "PRAGMA cell_size_check=1; PRAGMA trusted_schema=0"); err != nil {
		return err
	}
	var version, id int
	if err := conn.QueryRowContext(ctx, "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id)").Scan(&version, &id); err != nil {
		return err
	}
	if err := checkVersion(id, version); err != nil {
		return err
	}
	pragma := "integrity_check(1)"
	if quick {
		pragma = "quick_check(1)"
	}
	var word string
	if err := conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&word); err != nil {
		return err
	}
	if word != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, word)
	}
	rows, err := conn.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		return fmt.Errorf("%w: rows that refer to rows which are not there", ErrDamaged)
	}
	return rows.Err()
}

// count reads what the report tells. Every task is read, as far as it is short: a page may be sound, and what is on it nonsense.
func (r *Report) count(ctx context.Context, conn *sql.Conn) error {
	var last sql.NullInt64
	err := conn.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM tasks), (SELECT count(*) FROM tasks WHERE state < 4),
		(SELECT count(*) FROM devices), (SELECT coalesce(max(seq), 0) FROM events), (SELECT at FROM events ORDER BY seq DESC LIMIT 1)`).
		Scan(&r.Version, &r.Tasks, &r.Open, &r.Devices, &r.LastEvent, &last)
	r.LastTime = fromMS(last)
	return err
}

// CheckPages looks at every page of the open database. It takes as long as reading it does, and keeps nobody from writing meanwhile. The error is
// ErrDamaged, or that ctx is done.
func (db *DB) CheckPages(ctx context.Context) error {
	conn, err := db.r.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var word string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&word); err != nil {
		return classify(err)
	}
	if word != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, word)
	}
	return nil
}

// Large says whether Open left the check of every page to CheckPages.
func (db *DB) Large() bool {
	size, _ := db.Size()
	return size > checkedAtOnce
}

// Changes is a number that is another one whenever something was committed since the last call.
func (db *DB) Changes(ctx context.Context) (n int64, err error) {
	err = db.watch.QueryRowContext(ctx, "PRAGMA data_version").Scan(&n)
	return n, classify(err)
}

// bare is what a file system said without the path, which is said already.
func bare(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
