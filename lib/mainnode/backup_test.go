package mainnode

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestBackupsByTheClock lets hours pass over a main node in which something happens, or nothing, or whose folder of backups cannot be written.
func TestBackupsByTheClock(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		ctx, stop := context.WithCancel(t.Context())
		var care sync.WaitGroup
		care.Go(func() { n.care(ctx) })
		defer func() { stop(); care.Wait() }()
		dir := BackupDir(n.dir, "")
		happens := func() { n.loop.ask(ctx, func(c *Core) { c.event(cluster.Event{Kind: cluster.InviteMade}) }) }
		expect := func(when string, backups int, failed int64, since time.Duration) {
			t.Helper()
			files, _ := store.Backups(dir)
			var m wire.Metrics
			n.loop.ask(ctx, func(c *Core) { m = c.metrics() })
			if len(files) != backups || m.BackupFailures != failed || time.Since(time.Unix(m.BackedUp, 0)) > since {
				t.Errorf("%s: %d backups, %d failures, the last %s ago; want %d, %d, at most %s", when, len(files), m.BackupFailures, time.Since(time.Unix(m.BackedUp, 0)), backups, failed, since)
			}
		}
		time.Sleep(90 * time.Second)
		expect("soon after the start", 1, 0, time.Minute)
		time.Sleep(time.Hour)
		expect("an hour in which nothing happened", 1, 0, time.Minute)
		happens()
		time.Sleep(time.Hour)
		expect("an hour in which something happened", 2, 0, time.Minute)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		happens()
		time.Sleep(time.Hour)
		expect("an hour without a place for it", 0, 1, 2*time.Hour)
		events, err := n.db.Events(ctx, 0, 100)
		if err != nil || !slices.ContainsFunc(events, func(e cluster.Event) bool { return e.Kind == cluster.BackupFailed && e.Reason != "" }) {
			t.Errorf("no event of the failure: %+v (%v)", events, err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		expect("an hour later, with a place for it", 1, 1, time.Minute)
	})
}

// TestBackupsAreKeptApart: a life that follows goes on where the one before it was, and removes what is too many.
func TestBackupsAreKeptApart(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		b := &backups{set: Backup{Every: time.Hour, Keep: 3}, dir: t.TempDir(), node: n}
		for range 30 {
			n.loop.ask(t.Context(), func(c *Core) { c.event(cluster.Event{Kind: cluster.InviteMade}) })
			time.Sleep(time.Hour)
			b.once(t.Context(), time.Now())
		}
		files, err := store.Backups(b.dir)
		if err != nil || len(files) != 3+2 { // the newest, and the last of each of the two days before
			t.Errorf("%d backups: %+v, %v", len(files), files, err)
		}
		again := &backups{set: b.set, dir: b.dir, node: n}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		again.run(ctx)
		if after, _ := store.Backups(b.dir); !slices.Equal(after, files) {
			t.Errorf("another one half an hour after the last: %+v", after)
		}
	})
}

func TestForkNext(t *testing.T) {
	f := fork{task: 100, attempt: 1003}
	for _, tt := range []struct {
		id         task.ID
		last, want int
	}{{99, 0, 1003}, {99, 3, 1003}, {99, 1003, 1004}, {100, 0, 1}, {100, 1, 2}} {
		if got := f.next(tt.id, tt.last); got != tt.want {
			t.Errorf("after attempt %d of task %d comes %d, want %d", tt.last, tt.id, got, tt.want)
		}
	}
	if got := (fork{}).next(5, 1); got != 2 {
		t.Errorf("without a restore: %d", got)
	}
}
