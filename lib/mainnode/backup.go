package mainnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Backup is how the running main node makes backups.
type Backup struct {
	Every time.Duration // 0: never
	Dir   string        // "": backup in the data directory
	Keep  int           // the newest so many; of older ones some of days and weeks
}

func (b *Backup) validate() error {
	switch {
	case b.Every != 0 && b.Every < time.Second:
		return fmt.Errorf("backup_every %s: at least 1s, or 0 for never", b.Every)
	case b.Keep < 1:
		return fmt.Errorf("backup_keep %d: at least 1", b.Keep)
	}
	return nil
}

// BackupDir is the folder of a data directory's backups, if none is chosen.
func BackupDir(data, chosen string) string { return cmp.Or(chosen, filepath.Join(data, "backup")) }

// DatabaseFile is the database of a data directory.
func DatabaseFile(data string) string { return filepath.Join(data, fileDatabase) }

// NewIncarnation names a main node's life anew, as after a restore.
func NewIncarnation() string { return newLease() }

// backups makes them. It runs beside the loop, and tells it only what came of that.
type backups struct {
	set  Backup
	dir  string
	node *Node
	seen int64 // what the store said of its changes before the last one was made
	have bool  // there is one of this life
}

// care looks after the database while the main node runs: a large one is checked, and backups are made.
func (n *Node) care(ctx context.Context) {
	if n.db.Large() {
		if err := n.db.CheckPages(ctx); err != nil && ctx.Err() == nil {
			n.note(ctx, cluster.MainDamaged, err)
		}
	}
	if n.backup.Every > 0 {
		b := &backups{set: n.backup, dir: BackupDir(n.dir, n.backup.Dir), node: n}
		b.run(ctx)
	}
}

// run makes the first backup when one is due since the last life, the others by the clock.
func (b *backups) run(ctx context.Context) {
	var last time.Time
	if files, err := store.Backups(b.dir); err == nil {
		for _, f := range files {
			if f.Rotated && f.Time.After(last) {
				last = f.Time
			}
		}
	}
	b.succeeded(ctx, last)
	wait := min(max(time.Until(last.Add(b.set.Every)), time.Minute), b.set.Every) // a start has enough to do
	for timer := time.NewTimer(wait); ; timer.Reset(b.set.Every) {
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		b.once(ctx, time.Now())
	}
}

// once makes a backup if anything was committed since the last one. A failure ends nothing: it is told, and tried again at the next time.
func (b *backups) once(ctx context.Context, now time.Time) {
	if !b.roomToSpare(ctx) {
		return
	}
	seen, err := b.node.db.Changes(ctx)
	if err == nil && b.have && seen == b.seen {
		b.succeeded(ctx, now)
		return
	}
	var r store.Report
	if err == nil {
		r, err = b.make(ctx, now)
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, store.ErrDamaged):
		b.node.note(ctx, cluster.MainDamaged, err)
	case err != nil:
		b.node.note(ctx, cluster.BackupFailed, err)
	default:
		b.seen, b.have = seen, true
		b.succeeded(ctx, now)
		b.node.log.Info("backup made", "file", r.Path, "bytes", r.Size, "tasks", r.Tasks, "event", r.LastEvent, "took", time.Since(now).Round(time.Millisecond))
	}
}

// roomToSpare says whether the disk is not full: what is left then is for results.
func (b *backups) roomToSpare(ctx context.Context) (yes bool) {
	b.node.loop.ask(ctx, func(c *Core) { yes = c.storage == storageOK })
	return yes
}

// make makes one, and removes those that are too many or take too much.
func (b *backups) make(ctx context.Context, now time.Time) (r store.Report, err error) {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return r, err
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "cluster-*.db.tmp")); left != nil { // by a life that ended meanwhile
		remove(left...)
	}
	database, log := b.node.db.Size()
	if err := b.makeRoom(database + log); err != nil {
		return r, err
	}
	if r, err = b.node.db.Backup(ctx, filepath.Join(b.dir, store.BackupName(now))); err != nil {
		return r, err
	}
	files, err := store.Backups(b.dir)
	if err == nil {
		remove(paths(store.Thin(files, b.set.Keep))...)
		err = b.makeRoom(0)
	}
	if err != nil {
		b.node.log.Warn("older backups stay", "err", err)
	}
	return r, nil
}

// share is the part of a disk that backups may take together: one in so many.
const share = 5

// makeRoom removes the oldest backups until there may be another one of so many bytes; the newest stays.
func (b *backups) makeRoom(need int64) error {
	size, free, ok := store.Space(b.dir)
	if !ok {
		return nil
	}
	files, err := store.Backups(b.dir)
	if err != nil {
		return err
	}
	old, fits := store.Fit(files, need, size/share)
	if !fits {
		return fmt.Errorf("the database has %d MiB, which is more than a fifth of the disk of %s (%d MiB): --backup-dir names a folder elsewhere", need>>20, b.dir, size>>20)
	}
	for _, f := range old {
		free += f.Size
	}
	if free < need {
		return fmt.Errorf("%d MiB are free on the disk of %s, the database has %d MiB", free>>20, b.dir, need>>20)
	}
	return remove(paths(old)...)
}

func paths(files []store.BackupFile) (all []string) {
	for _, f := range files {
		all = append(all, f.Path)
	}
	return all
}

func remove(paths ...string) (err error) {
	for _, p := range paths {
		err = errors.Join(err, os.Remove(p))
	}
	return err
}

// succeeded notes when all that there was to back up was in a backup.
func (b *backups) succeeded(ctx context.Context, at time.Time) {
	b.node.loop.ask(ctx, func(c *Core) { c.counts.backedUp = at })
}

// note makes an event of what is wrong with the database or its backups, and so a line of the log, also where the event cannot be written.
func (n *Node) note(ctx context.Context, kind cluster.Kind, err error) {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	told := n.loop.ask(ctx, func(c *Core) {
		if kind == cluster.BackupFailed {
			c.counts.backupsFailed++
		}
		c.notes = append(c.notes, cluster.Event{Kind: kind, Reason: text}) // an event, as soon as one can be written
		c.tell()
	})
	if told != nil {
		n.log.Error(string(kind), "reason", text)
	}
}

// fork is where the history of a restored database leaves the one that was before.
type fork struct {
	task    task.ID // the first after it
	attempt int     // the smallest number of a new attempt of an older task
}

func forkOf(meta map[string]string) fork {
	id, _ := strconv.ParseUint(meta[store.MetaForkTask], 10, 64)
	attempt, _ := strconv.Atoi(meta[store.MetaAttemptFloor])
	return fork{task.ID(id), attempt}
}

// next is the number of a task's next attempt. Those that were made after the backup, which nobody here knows of, may still be reported.
func (f fork) next(id task.ID, last int) int {
	if id < f.task {
		return max(last+1, f.attempt)
	}
	return last + 1
}
