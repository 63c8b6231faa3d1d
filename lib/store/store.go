// Package store owns the only SQL of the project: schema, migrations, one writer, readers. It is for mainnode alone; its API may
// change in any release.
//
// What one round of the main node's loop decides is collected in a Batch and committed in one transaction. A row that changes
// several times in a round is written once, as it was last. Begin with Open.
package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// Errors that a caller may test.
var (
	ErrInUse   = errors.New("another rc-mained is using this data directory")
	ErrForeign = errors.New("not a database of retire-cluster")
	ErrNewer   = errors.New("written by a newer rc-mained; install that version again")
	ErrDamaged = errors.New("damaged")
	ErrMissing = errors.New("there is no database, but there was one")
	ErrFull    = errors.New("the disk is full")
)

// oldestSQLite is the first version without the bug that could lose commits when a WAL file was reset.
const oldestSQLite = 3_051_003

// lockName is the file beside a database that its main node holds locked.
const lockName = "main.lock"

// checkedAtOnce is up to which size in bytes Open looks at every page; a larger database would keep people waiting. See CheckPages. Only tests
// change it.
var checkedAtOnce int64 = 200 << 20

// DB is the cluster's database. One process at a time has it open.
type DB struct {
	path    string
	backups string // folder
	lock    *os.File
	w, r    *sql.DB
	watch   *sql.DB // one connection that only looks whether others have committed
	stmt    statements
}

// Open opens the database in a file, makes it where there never was one, and brings it to the newest version, after a backup. backups is the
// folder with its backups, if it is not the one of that name beside it.
// Errors are ErrInUse, ErrForeign, ErrNewer, ErrDamaged, ErrMissing, and those of the file system.
func Open(ctx context.Context, path string, backups ...string) (*DB, error) {
	db := &DB{path: path, backups: filepath.Join(filepath.Dir(path), "backup")}
	if len(backups) > 0 && backups[0] != "" {
		db.backups = backups[0]
	}
	if err := db.open(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database %s: %w", path, classify(err))
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) (err error) {
	if _, n, _ := sqlite3.Version(); n < oldestSQLite {
		return fmt.Errorf("SQLite %d is too old, %d is needed", n, oldestSQLite)
	}
	// A file of its own: closing the database's file anywhere in the process would drop the locks that SQLite has on it.
	if db.lock, err = cli.Lock(filepath.Join(filepath.Dir(db.path), lockName)); errors.Is(err, cli.ErrLocked) {
		return ErrInUse
	} else if err != nil {
		return err
	}
	if err = db.checkThere(); err != nil {
		return err
	}
	if err = checkHeader(db.path); err != nil {
		return err
	}
	if err = checkLog(db.path); err != nil {
		return err
	}
	if err = private(db.path); err != nil {
		return err
	}
	if db.w, err = open(db.path, "rwc", 1); err != nil {
		return err
	}
	if err = db.prepare(ctx); err != nil {
		return err
	}
	if db.r, err = open(db.path, "ro", 4); err != nil {
		return err
	}
	db.watch, err = open(db.path, "ro", 1)
	return err
}

// checkThere keeps a main node whose database is gone from beginning with an empty one, as if nothing had ever been there.
func (db *DB) checkThere() error {
	if fi, err := os.Stat(db.path); err == nil && fi.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	signs, _ := filepath.Glob(filepath.Join(filepath.Dir(db.path), filepath.Base(db.path)+asideInfix+"*"))
	if fi, err := os.Stat(db.path + "-wal"); err == nil && fi.Size() > 0 {
		signs = append(signs, db.path+"-wal")
	}
	found, err := Backups(db.backups)
	for _, f := range found {
		signs = append(signs, f.Path)
	}
	if len(signs) == 0 {
		return err
	}
	return fmt.Errorf("%w: here is %s; to begin anew with nothing, move the data directory and the backups away", ErrMissing, signs[0])
}

// checkHeader looks at a file before SQLite does, which would change what is not ours. The places are those of SQLite's file format:
// the user version at 60, the application's id at 68, both big-endian.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var header [72]byte
	n, err := io.ReadFull(f, header[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return nil // new, and nothing written yet
	}
	if header == [len(header)]byte{} && exists(path+"-journal") {
		return nil // the power went while it was made; SQLite takes that back
	}
	if string(header[:16]) != "SQLite format 3\x00" {
		return ErrForeign
	}
	if n < len(header) {
		return fmt.Errorf("%w: it ends within its first page", ErrDamaged)
	}
	return checkVersion(int(binary.BigEndian.Uint32(header[68:])), int(binary.BigEndian.Uint32(header[60:])))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// private makes the file one that only its owner reads, before anything is in it: SQLite gives its other files the same rights.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// checkVersion says whether a database with this mark and version is one that we can work with; both are 0 in a new one.
func checkVersion(id, version int) error {
	switch {
	case id != applicationID && (id != 0 || version != 0):
		return ErrForeign
	case version > len(migrations):
		return ErrNewer
	}
	return nil
}

// open opens a pool. Unknown settings are ignored by the driver without a word, so checkPragmas reads them back.
func open(path, mode string, conns int) (*sql.DB, error) {
	v := url.Values{
		"mode": {mode}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_busy_timeout": {"5000"}, "_foreign_keys": {"on"},
		"_cache_size": {"-8192"}, "_stmt_cache_size": {"64"},
	}
	if mode == "rwc" {
		v.Set("_txlock", "immediate")
		v.Set("_auto_vacuum", "incremental")
	} else {
		v.Del("_journal_mode") // a reader cannot set it
		v.Set("_query_only", "on")
	}
	pool, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+v.Encode())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool, nil
}

func (db *DB) prepare(ctx context.Context) error {
	if err := db.checkPragmas(ctx); err != nil {
		return err
	}
	if err := db.checkPages(ctx); err != nil {
		return err
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	// What a power cut left of a transaction must not stay behind those to come: see checkLog.
	if _, err := db.w.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && !errors.Is(classify(err), ErrFull) {
		return err
	}
	return db.stmt.prepare(ctx, db.w)
}

func (db *DB) checkPragmas(ctx context.Context) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.w.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s is %s and not %s: this disk or build cannot keep what it is given", pragma, got, want)
		}
	}
	_, err := db.w.ExecContext(ctx, "PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=0; PRAGMA cell_size_check=1; PRAGMA mmap_size=0")
	return err
}

// checkPages finds damage before it spreads.
func (db *DB) checkPages(ctx context.Context) error {
	if db.Large() {
		return nil
	}
	var word string
	if err := db.w.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&word); err != nil {
		return err
	}
	if word != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, word)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context) error {
	var id, version int
	if err := db.w.QueryRowContext(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version)").Scan(&id, &version); err != nil {
		return err
	}
	if err := checkVersion(id, version); err != nil {
		return err
	}
	if version > 0 && version < len(migrations) {
		to := filepath.Join(db.backups, fmt.Sprintf("before-v%d-%s.db", len(migrations), time.Now().UTC().Format(backupTime)))
		if err := db.keepBefore(ctx, to); err != nil {
			return fmt.Errorf("migrate from version %d to %d: %w", version, len(migrations), err)
		}
	}
	for ; version < len(migrations); version++ {
		if err := db.step(ctx, version); err != nil {
			return fmt.Errorf("migrate to version %d: %w", version+1, err)
		}
	}
	return nil
}

// keepBefore makes a backup before the database is changed in a way that an older program cannot read.
func (db *DB) keepBefore(ctx context.Context, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	_, err := db.Backup(ctx, to)
	return err
}

func (db *DB) step(ctx context.Context, version int) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	marks := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, version+1)
	for _, s := range []string{migrations[version], marks} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// ForWriter is the same database, read through the writer's connection, which no query of anybody else keeps busy. Only
// who commits may use it, and not while committing.
func (db *DB) ForWriter() *DB {
	own := *db
	own.r = db.w
	return &own
}

// Close ends all use of the database. Whatever was committed is on disk already.
func (db *DB) Close() error {
	var errs []error
	for _, readers := range []*sql.DB{db.watch, db.r} {
		if readers != nil {
			errs = append(errs, readers.Close())
		}
	}
	if db.w != nil {
		db.stmt.close()
		errs = append(errs, db.w.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Size is the size of the database and of its write-ahead log, in bytes.
func (db *DB) Size() (database, wal int64) {
	size := func(path string) int64 {
		fi, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return fi.Size()
	}
	return size(db.path), size(db.path + "-wal")
}

// classify gives SQLite's errors the names that callers test.
func classify(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.ErrIoErr:
		// The index of the log is only memory that has a file; and for a quota SQLite has no word of its own.
		if e.ExtendedCode == sqlite3.ErrIoErrSHMSize || e.ExtendedCode == sqlite3.ErrIoErrWrite && e.SystemErrno == syscall.EDQUOT {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	case sqlite3.ErrNotADB:
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case sqlite3.ErrCorrupt:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// unreadable says that a row was read and makes no sense.
func unreadable(err error) error {
	var e sqlite3.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrNoRows) {
		return classify(err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// ms is a time as it is stored; zero is stored as NULL.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromMS(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return time.UnixMilli(v.Int64).UTC()
}

func timePtr(v sql.NullInt64) *time.Time {
	if !v.Valid {
		return nil
	}
	t := fromMS(v)
	return &t
}

func intPtr(v sql.NullInt64) *int {
	if !v.Valid {
		return nil
	}
	n := int(v.Int64)
	return &n
}

// list writes numbers for an IN (…): they are ours, so there is nothing to escape.
func list[N ~uint64 | ~uint8](ns []N) string {
	var b strings.Builder
	for i, n := range ns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String()
}
