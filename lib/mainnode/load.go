package mainnode

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/limit"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// NewCore rebuilds the core from what the store holds. lease makes the token of a lease: the one source of randomness in it.
func NewCore(ctx context.Context, set Settings, db *store.DB, log *slog.Logger, now time.Time, lease func() string) (*Core, error) {
	c := &Core{
		set: set, db: db.ForWriter(), ctx: ctx, log: log, lease: lease, started: now, now: now,
		tasks: map[task.ID]*openTask{}, queue: scheduler.NewQueue(set.Ageing),
		devices: map[string]*machine{}, byKey: map[string]*machine{}, crowded: map[*machine]struct{}{},
		sessions: map[int64]*session{}, tokens: map[string]store.Token{}, rates: map[string]*limit.Bucket{}, invites: map[string]store.Invite{}, revoked: map[string]string{}, failures: failures{}, guesses: newGuesses(),
		bodies: newBodies(), pending: true,
	}
	for _, load := range []func() error{c.loadMeta, c.loadDevices, c.loadAccess, c.loadTasks, c.loadCounts} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("read the cluster's state: %w", err)
		}
	}
	return c, nil
}

// newLease makes a lease's token of 130 random bits.
func newLease() string { return strings.ToLower(rand.Text()) }

func (c *Core) loadMeta() (err error) {
	meta, err := c.db.Meta(c.ctx)
	if err != nil {
		return err
	}
	next, _ := strconv.ParseUint(meta["next_task"], 10, 64)
	c.nextTask = max(1, task.ID(next))
	c.incarnation, c.fork, c.restored = meta["incarnation"], forkOf(meta), meta[store.MetaRestored]
	c.lastEvent, err = c.db.LastEvent(c.ctx)
	return err
}

func (c *Core) loadDevices() error {
	rows, err := c.db.Devices(c.ctx)
	for _, row := range rows {
		if !row.DrainBy.IsZero() {
			row.DrainBy = c.inWhile(&row.DrainBy, task.MaxTimeout*time.Second)
		}
		d := newMachine(row, c.now)
		c.devices[row.ID], c.byKey[row.Fingerprint] = d, d
	}
	return err
}

func (c *Core) loadAccess() error {
	tokens, err := c.db.Tokens(c.ctx)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		c.tokens[t.ID] = t
	}
	revoked, err := c.db.Revoked(c.ctx)
	if err != nil {
		return err
	}
	for _, r := range revoked {
		c.revoked[r.Fingerprint] = r.Device
	}
	if c.audited, err = c.db.LastAudited(c.ctx); err != nil {
		return err
	}
	return c.loadInvites()
}

// loadInvites takes the codes that are good still. Where the clock is behind what has happened it is not known how long they were good: then none is.
func (c *Core) loadInvites() error {
	newest, err := c.db.Events(c.ctx, c.lastEvent-1, 1)
	if err != nil || len(newest) > 0 && c.now.Before(newest[0].Time) {
		return err
	}
	invites, err := c.db.Invites(c.ctx)
	for _, i := range invites {
		c.invites[i.ID] = i
	}
	return err
}

// loadTasks rebuilds the index of what is not over. What was leased stays so for a whole lease from now on: a restart of the main
// node is not a device's silence.
func (c *Core) loadTasks() error {
	if err := c.loadUntouched(); err != nil {
		return err
	}
	return c.db.TouchedTasks(c.ctx, func(stored task.Task, last *store.Attempt) {
		t := newOpenTask(stored.ID, stored.Job, &stored.Spec, stored.Submitted)
		t.row = store.Task{ID: stored.ID, State: stored.State, Attempt: stored.Attempt, Device: stored.Device, Reason: stored.Reason,
			Failures: stored.Failures, Losses: stored.Losses, Eligible: c.inWhile(stored.Eligible, max(stored.MostWait(), c.set.Lease())), Started: value(stored.Started), Output: stored.Output}
		t.last = last
		if !t.row.Eligible.IsZero() && t.mayRunStill() {
			t.row.Eligible = c.now.Add(c.set.Lease()) // how much of it is over, only the clock could say that was lost
		}
		c.tasks[stored.ID] = t
		if stored.State == task.Queued {
			c.enqueue(t)
			return
		}
		if d := c.devices[stored.Device]; d != nil {
			d.hold(t)
		}
	})
}

func (c *Core) loadUntouched() error {
	return c.db.EachUntouched(c.ctx, func(n *store.NewTask) {
		c.queue.Push(itemOf(n))
		c.pending = true
	})
}

func (c *Core) loadCounts() (err error) {
	year, month, dayOfMonth := c.now.Date()
	midnight := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, c.now.Location())
	c.counts.endedBy = map[task.State]int64{}
	c.counts.commitTimes, c.counts.inputsOfRounds = newHistogram(commitSeconds), newHistogram(batchInputs)
	c.counts.newDay(c.now)
	c.counts.byState, c.counts.today, c.counts.output, err = c.db.Counts(c.ctx, midnight)
	return err
}

// Start is the first round: it notes the start itself.
func (c *Core) Start(now time.Time) Round {
	c.begin(now)
	if c.incarnation == "" {
		c.incarnation = newLease()
		c.batch.Set("incarnation", c.incarnation)
	}
	if c.restored != "" {
		c.audit(entry{Who: whoMain, What: "restore", On: c.restored, Result: "ok"})
		c.batch.Set(store.MetaRestored, "")
	}
	c.event(cluster.Event{Kind: cluster.MainStarted, Reason: c.self})
	c.audit(entry{Who: whoMain, What: "start", On: c.self, Result: "ok"})
	for _, id := range slices.Sorted(maps.Keys(c.tasks)) { // of a device that was removed while the main node was ending
		if t := c.tasks[id]; t.row.State != task.Queued && t.device == nil {
			c.lose(t, "its device was removed", abandoned)
		}
	}
	return c.decided()
}

// inWhile makes of a time that was stored, by the wall clock, one that no setting of that clock moves any more, in most at the latest.
func (c *Core) inWhile(stored *time.Time, most time.Duration) time.Time {
	if stored == nil {
		return time.Time{}
	}
	return c.now.Add(min(max(stored.Sub(c.now), 0), most))
}

func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// hostTokenName is what the token that commands on this host use is known by.
const hostTokenName = "commands on the main node's host"

// adminToken gives the token that commands on this host use: the one that is kept in its file, or a new one.
func (c *Core) adminToken(kept string) string {
	if t, err := c.token(kept); err == nil && t.Kind == store.TokenKept && wire.Role(t.Role).May(wire.RoleAdmin) {
		return kept
	}
	t := wire.NewToken(wire.RoleAdmin)
	c.keepToken(t, hostTokenName, 0, cluster.Whole)
	c.audit(entry{Who: whoMain, What: wire.TypeTokenMake, On: t.ID, Result: "ok"})
	return t.String()
}
