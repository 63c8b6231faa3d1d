package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/visible"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// backup copies the database.
type backup struct {
	File  string `arg:"" help:"File to make, or a folder in which to make one that is named after the time."`
	Force bool   `env:"-" help:"Replace an older backup of that name."`
}

// Run copies the database, whoever works on it.
func (b *backup) Run(ctx context.Context, m *mained, std cli.Std, env cli.Env) error {
	if b.File == "-" {
		return cli.Exit(cli.Usage, errors.New("a backup is checked before it is there, and so is not written to standard output: name a file"))
	}
	to := b.File
	if fi, err := os.Stat(to); err == nil && fi.IsDir() {
		to = filepath.Join(to, store.BackupName(time.Now()))
	}
	from := mainnode.DatabaseFile(m.found(env))
	f, err := os.Open(from)
	f.Close() // before SQLite has it open: closing it then would drop SQLite's locks
	if errors.Is(err, fs.ErrPermission) {
		return notOurs("back up", err)
	}
	if err != nil {
		return cli.Exit(cli.BadConfig, fmt.Errorf("back up: there is no database: %w; --data names the data directory", err))
	}
	r, err := store.Backup(ctx, from, to, b.Force)
	switch {
	case errors.Is(err, store.ErrExists):
		return cli.Exit(cli.BadInput, fmt.Errorf("%w; --force replaces an older backup", err))
	case err != nil:
		return cli.Exit(statusOfFile(err), err)
	}
	_, err = fmt.Fprintln(std.Out, describe(&r))
	return err
}

// notOurs says whose job it is, where a file may not be read: it says nothing about what is in the file.
func notOurs(doing string, err error) error {
	return cli.Exit(cli.NotPermitted, fmt.Errorf("%s: %w; run this as the user whose the data directory is, such as with sudo -u", doing, err))
}

// found is the data directory of the main node on this host, whoever asks; where none is found, the one that a main node would make now.
func (m *mained) found(env cli.Env) string {
	if m.Data == "" {
		for _, dir := range wire.LocalDirs("", env) {
			if _, err := os.Stat(filepath.Join(dir, wire.FileFingerprint)); err == nil {
				return dir
			}
		}
	}
	return m.dataDir(env)
}

// describe is one line about what is in a file.
func describe(r *store.Report) string {
	return fmt.Sprintf("%s: %d bytes, %s (%d open), %s, newest event %d of %s", visible.Line(r.Path), r.Size, count(r.Tasks, "task"), r.Open, count(r.Devices, "device"), r.LastEvent, moment(r.LastTime))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "no time"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// restore puts a backup in the place of the database.
type restore struct {
	File   string `arg:"" optional:"" help:"Backup to restore."`
	Latest bool   `env:"-" help:"Restore the newest good one of the regular backups."`
}

// Run restores a backup and says what that means.
func (x *restore) Run(ctx context.Context, m *mained, std cli.Std, env cli.Env) error {
	if (x.File == "") != x.Latest {
		return cli.Exit(cli.Usage, errors.New("restore: either a file or --latest (see rc-mained restore --help)"))
	}
	data := m.found(env)
	if x.Latest {
		r, bad, ok := store.NewestGood(ctx, mainnode.BackupDir(data, m.BackupDir))
		for _, err := range bad {
			fmt.Fprintln(std.Err, "rc-mained: not this one:", visible.Line(err.Error()))
		}
		if !ok {
			return fmt.Errorf("restore: no good backup in %s; --backup-dir names another folder", mainnode.BackupDir(data, m.BackupDir))
		}
		x.File = r.Path
	}
	done, err := store.Restore(ctx, x.File, mainnode.DatabaseFile(data), mainnode.NewIncarnation(), time.Now())
	switch {
	case errors.Is(err, store.ErrInUse):
		return cli.Exit(cli.Unavailable, fmt.Errorf("%w; stop it first", err))
	case err != nil:
		return cli.Exit(statusOfFile(err), err)
	}
	return x.tell(std, m, data, &done)
}

func (x *restore) tell(std cli.Std, m *mained, data string, done *store.Restored) error {
	fmt.Fprintln(std.Out, "restored "+describe(&done.From))
	if done.Aside != "" {
		fmt.Fprintln(std.Out, "what was there before is kept as "+visible.Line(done.Aside))
	}
	revoked := "tokens that were revoked since then are good again (rc-ctl token list), and so may be the keys of devices that were removed (rc-status devices)"
	if done.Known {
		revoked = "tokens that were revoked since then stay revoked, and devices that were removed stay out"
	}
	_, err := fmt.Fprintf(std.Out, `Now start rc-mained on %s. What was submitted or recorded, or joined, after that event is not there:
- results of attempts that it does not know are listed in rc-logs as result_orphaned, and tasks that ran meanwhile may run again;
- %s; join codes of before are not good any more: make new ones (rc-ctl invite);
- new tasks, attempts and events get numbers that were never given out before.
`, visible.Line(data), revoked)
	return err
}

// check says whether a file is sound.
type check struct {
	File  string `arg:"" optional:"" help:"Database or backup. Default: the database in the data directory."`
	Quick bool   `env:"-" help:"Leave out comparing tables with their indexes."`
}

// Run looks at a file without changing it, whoever works on it.
func (x *check) Run(ctx context.Context, m *mained, std cli.Std, env cli.Env) error {
	path := x.File
	if path == "" {
		path = mainnode.DatabaseFile(m.found(env))
	}
	r, err := store.Inspect(ctx, path, x.Quick)
	if errors.Is(err, fs.ErrPermission) {
		return notOurs("check", err)
	}
	if err != nil {
		err = fmt.Errorf("check %w", err)
		if x.File == "" && ctx.Err() == nil {
			err = &advised{err, m.advice(ctx, m.found(env), err)}
		}
		return cli.Exit(cli.Failed, err)
	}
	_, err = fmt.Fprintf(std.Out, "%s; schema %d; sound\n", describe(&r), r.Version)
	return err
}

// advised is an error with what to do about it.
type advised struct {
	error
	hint string
}

func (e *advised) Unwrap() error { return e.error }

// Hint is printed below the error.
func (e *advised) Hint() string { return e.hint }

// advise says what to do about a database that cannot be worked on.
func (m *mained) advise(ctx context.Context, env cli.Env, err error) error {
	status := statusOf(err)
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrForeign) || errors.Is(err, store.ErrMissing) {
		err = &advised{err, m.advice(ctx, m.dataDir(env), err)}
	}
	return cli.Exit(status, err)
}

// advice names the newest good backup, and the command that puts it in place. Nothing is done by itself: what is there may be worth more.
func (m *mained) advice(ctx context.Context, data string, err error) string {
	with := " --data " + data
	if m.BackupDir != "" {
		with += " --backup-dir " + m.BackupDir
	}
	save := ""
	if errors.Is(err, store.ErrDamaged) {
		save = fmt.Sprintf("; before that, rc-mained backup%s FILE may save more of it: what it writes is sound, and can be restored as well", with)
	}
	dir := mainnode.BackupDir(data, m.BackupDir)
	r, _, ok := store.NewestGood(ctx, dir)
	if !ok {
		return fmt.Sprintf("there is no good backup in %s%s", dir, save)
	}
	return fmt.Sprintf("the newest good backup is %s (%s, until %s); rc-mained restore --latest%s puts it in place and keeps what is there now%s", r.Path, count(r.Tasks, "task"), moment(r.LastTime), with, save)
}

// statusOfFile is the exit status for what can be wrong with a file that somebody named.
func statusOfFile(err error) int {
	switch {
	case errors.Is(err, store.ErrInUse):
		return cli.Unavailable
	case errors.Is(err, store.ErrForeign), errors.Is(err, store.ErrNewer), errors.Is(err, store.ErrDamaged), errors.Is(err, fs.ErrNotExist):
		return cli.BadInput
	case errors.Is(err, fs.ErrPermission):
		return cli.NotPermitted
	case errors.Is(err, store.ErrFull):
		return cli.TryAgain
	}
	return cli.Failed
}
