package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// ErrExists is what Backup says of a file that is there, and that it was not told to replace.
var ErrExists = errors.New("it is there already")

// Backup copies a database into a file, also while a main node works on it, and checks the copy: it was opened, every page and index looked at,
// and it is on the disk, under its name, when Backup returns. Until then its name ends in ".tmp". A file of that name is replaced only where
// replace says so, and only by a whole backup.
func Backup(ctx context.Context, from, to string, replace bool) (Report, error) {
	r, err := backup(ctx, from, to, replace)
	if err != nil {
		return r, fmt.Errorf("back up %s to %s: %w", from, to, classify(err))
	}
	return r, nil
}

func backup(ctx context.Context, from, to string, replace bool) (Report, error) {
	if err := mayReplace(from, to, replace); err != nil {
		return Report{}, err
	}
	tmp := to + ".tmp"
	f, err := claim(tmp)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	r, err := copyChecked(ctx, from, tmp)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = mayReplace(from, to, replace) // it may have taken a while
	}
	if err == nil {
		err = os.Rename(tmp, to)
	}
	if err != nil {
		os.Remove(tmp)
		return r, err
	}
	r.Path = to
	return r, syncDir(filepath.Dir(to))
}

// mayReplace says why a backup may not be written to a file. What is no database of ours is never replaced: it is there by mistake, or the name is.
func mayReplace(from, to string, replace bool) error {
	there, err := os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if own, err := os.Stat(from); err == nil && os.SameFile(own, there) {
		return errors.New("that is the database itself")
	}
	if !replace {
		return ErrExists
	}
	if !there.Mode().IsRegular() || there.Size() == 0 {
		return fmt.Errorf("%w: what is there would be lost", ErrForeign)
	}
	if err := checkHeader(to); errors.Is(err, ErrForeign) {
		return fmt.Errorf("%w: what is there would be lost", ErrForeign)
	}
	return nil
}

// claim makes a temporary file that only its owner reads, and keeps others from writing to it at the same time. One that was left behind is taken over.
func claim(tmp string) (*os.File, error) {
	f, err := cli.Lock(tmp)
	if errors.Is(err, cli.ErrLocked) {
		return nil, fmt.Errorf("%w: another backup is being written to it", ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	held, err1 := f.Stat()
	named, err2 := os.Stat(tmp)
	if err1 != nil || err2 != nil || !os.SameFile(held, named) { // whoever held it has just finished
		f.Close()
		return nil, fmt.Errorf("%w: another backup was being written to it", ErrInUse)
	}
	if err := errors.Join(f.Chmod(0o600), f.Truncate(0)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// copyChecked copies and looks at what came of it.
func copyChecked(ctx context.Context, from, to string) (Report, error) {
	if err := copyPages(ctx, from, to); err != nil {
		return Report{}, err
	}
	r, err := inspect(ctx, to, false, true)
	if err != nil {
		return r, fmt.Errorf("the copy: %w", err)
	}
	return r, nil
}

// pagesAtOnce is how much is copied between two looks at ctx: a mebibyte.
const pagesAtOnce = 256

// copyPages copies all pages as they are at one moment. In a database with a write-ahead log who reads keeps nobody from writing; without the open
// transaction every commit of the main node would make the copy begin anew.
func copyPages(ctx context.Context, from, to string) error {
	source, err := openToRead(from, alone(from))
	if err != nil {
		return err
	}
	defer source.Close()
	// Whoever is interrupted finds only a temporary file, which needs no journal; it is synced when it is whole.
	target, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: to}).EscapedPath()+"?mode=rw&_journal_mode=OFF&_synchronous=OFF")
	if err != nil {
		return err
	}
	defer target.Close()
	return withDriver(ctx, source, func(src *sql.Conn, s *sqlite3.SQLiteConn) error {
		if _, err := src.ExecContext(ctx, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
			return err
		}
		defer src.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return withDriver(ctx, target, func(_ *sql.Conn, t *sqlite3.SQLiteConn) error { return steps(ctx, t, s) })
	})
}

// withDriver calls f with a connection, and with what the driver knows it by. Statements may be run on it only outside of Raw.
func withDriver(ctx context.Context, db *sql.DB, f func(*sql.Conn, *sqlite3.SQLiteConn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var driver *sqlite3.SQLiteConn
	if err := conn.Raw(func(c any) error { driver = c.(*sqlite3.SQLiteConn); return nil }); err != nil {
		return err
	}
	return f(conn, driver)
}

// steps copies a little at a time, and rests as long as that took: there are others who need the disk.
func steps(ctx context.Context, to, from *sqlite3.SQLiteConn) error {
	b, err := to.Backup("main", from, "main")
	if err != nil {
		return err
	}
	for done := false; !done; {
		began := time.Now()
		if done, err = b.Step(pagesAtOnce); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(min(time.Since(began), 100*time.Millisecond)):
		}
		if err != nil {
			break
		}
	}
	if e := b.Close(); err == nil {
		err = e
	}
	return err
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Backup copies the database into a new file; see the function of that name.
func (db *DB) Backup(ctx context.Context, to string) (Report, error) {
	return Backup(ctx, db.path, to, false)
}

// BackupFile is one of the backups in a folder, by its name.
type BackupFile struct {
	Path    string
	Time    time.Time
	Size    int64
	Rotated bool // made by the clock; the others are of a moment before something was done, and stay
}

const backupTime = "20060102T150405Z"

var backupName = regexp.MustCompile(`^(cluster|before-v\d+)-(\d{8}T\d{6}Z)\.db$`)

// BackupName is the name of a backup made at a time.
func BackupName(at time.Time) string { return "cluster-" + at.UTC().Format(backupTime) + ".db" }

// Backups lists the backups in a folder, newest first; what has no such name is not one. There are none in a folder that is not there.
func Backups(dir string) ([]BackupFile, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []BackupFile
	for _, e := range entries {
		m := backupName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		at, err := time.Parse(backupTime, m[2])
		fi, err2 := e.Info()
		if err == nil && err2 == nil && fi.Mode().IsRegular() {
			found = append(found, BackupFile{filepath.Join(dir, e.Name()), at, fi.Size(), m[1] == "cluster"})
		}
	}
	slices.SortFunc(found, func(a, b BackupFile) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Path, a.Path)) })
	return found, err
}

// NewestGood finds the newest backup in a folder that can be restored; bad says what is wrong with those that are newer. ok is false where there is none.
func NewestGood(ctx context.Context, dir string) (r Report, bad []error, ok bool) {
	files, err := Backups(dir)
	if err != nil {
		bad = append(bad, err)
	}
	for _, f := range files {
		if r, err = Inspect(ctx, f.Path, false); err == nil {
			return r, bad, true
		}
		bad = append(bad, err)
	}
	return Report{}, bad, false
}

// Thin says which backups are one too many, oldest first: all but the newest keep of them, and of those that are older the newest of each of seven days
// and of each of four weeks. files come newest first; what is not rotated does not count.
func Thin(files []BackupFile, keep int) (remove []BackupFile) {
	var days, weeks []string
	for _, f := range files {
		if !f.Rotated {
			continue
		}
		if keep > 0 {
			keep--
			continue
		}
		year, week := f.Time.ISOWeek()
		newDay := first(&days, f.Time.Format(time.DateOnly), 7)
		newWeek := first(&weeks, fmt.Sprint(year, week), 4)
		if !newDay && !newWeek {
			remove = append(remove, f)
		}
	}
	slices.Reverse(remove)
	return remove
}

// first notes a name that is not known yet, if there is room for it.
func first(known *[]string, name string, most int) bool {
	if slices.Contains(*known, name) || len(*known) == most {
		return false
	}
	*known = append(*known, name)
	return true
}

// Fit says which backups must go, oldest first, so that all of them and one of size more take at most limit bytes; the newest stays. ok is
// false where even that is not enough. files come newest first.
func Fit(files []BackupFile, size, limit int64) (remove []BackupFile, ok bool) {
	if size > limit {
		return nil, false
	}
	sum := size
	var rotated []BackupFile
	for _, f := range files {
		if f.Rotated {
			rotated = append(rotated, f)
			sum += f.Size
		}
	}
	for i := len(rotated) - 1; i > 0 && sum > limit; i-- {
		remove = append(remove, rotated[i])
		sum -= rotated[i].Size
	}
	return remove, true
}
