package mainnode

import (
	"errors"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// A full disk does not end the main node. At first the ballast is let go: with that space it records results and cancels, and takes and gives out
// nothing new. When that is used up as well, nothing is decided any more: what was not committed is forgotten, devices keep their results, and
// only questions are answered. When there is space again it goes on as after a restart.

// storage is how full the disk is, for the core.
type storage string

const (
	storageOK   storage = ""
	storageLow  storage = "low"  // lives on its ballast
	storageFull storage = "full" // cannot write at all
)

// errNotCommitted says that a round was forgotten because the disk is full.
var errNotCommitted = errors.New("the disk is full")

// tryAgain is what is not done while the disk is full answers.
func (c *Core) tryAgain() error {
	return &wire.Error{Code: "E_STORAGE_FULL", RetryAfter: (c.set.Lease() / 45).Milliseconds(),
		Text: fmt.Sprintf("the main node's disk is full; it goes on by itself when %d MiB of it are free", c.roomNeeded>>20)}
}

// storageWords says to people what a full disk means.
func (c *Core) storageWords() string {
	free := fmt.Sprintf("it goes on by itself when %d MiB are free", c.roomNeeded>>20)
	switch c.storage {
	case storageLow:
		return "disk full: results are recorded from a reserve, nothing is taken or given out; " + free
	case storageFull:
		return "disk full: devices keep their results, nothing is decided; " + free
	}
	return ""
}

// whileFull says what the state of the disk keeps from being done. Results and cancels are recorded as long as they can be.
func (c *Core) whileFull(body any) error {
	if c.storage == storageOK {
		return nil
	}
	switch b := body.(type) {
	case *wire.Submit, *wire.Join, *wire.Invite, *wire.MakeToken:
		return c.tryAgain()
	case *deviceAction, *wire.RevokeToken, *wire.MakeLogin, *login, *logout:
		if c.storage == storageFull {
			return c.tryAgain()
		}
	case *wire.Hello:
		if c.storage == storageFull && b.Token == "" { // a worker, whose session would have to be noted
			return c.tryAgain()
		}
	}
	return nil
}

// lowOnDisk goes on with results and cancels alone.
func (c *Core) lowOnDisk() {
	if c.storage == storageOK {
		c.storage = storageLow
		c.notes = append(c.notes, cluster.Event{Kind: cluster.StorageLow, Reason: "the disk is full; results are recorded from a reserve, nothing else is taken or given out"})
	}
}

// forget drops what could not be committed, and begins anew with what is on the disk. The sessions end: what they were told is what was committed,
// and what they said since has to be said again.
func (c *Core) forget(now time.Time) ([]Effect, error) {
	var ends []Effect
	for id := range c.sessions {
		ends = append(ends, Effect{Session: id, Close: true})
	}
	fresh, err := NewCore(c.ctx, c.set, c.db, c.log, now, c.lease)
	if err != nil {
		return nil, err
	}
	fresh.started, fresh.fingerprint, fresh.addresses, fresh.self = c.started, c.fingerprint, c.addresses, c.self
	fresh.counts.keep(&c.counts)
	fresh.storage, fresh.roomNeeded, fresh.notes = storageFull, c.roomNeeded, c.notes
	for _, d := range fresh.devices {
		d.reason = "the main node's disk is full, and it hears nobody"
	}
	*c = *fresh
	return ends, nil
}

// keep takes over what was counted since the start.
func (n *counts) keep(old *counts) {
	byState, today, day, output := n.byState, n.today, n.day, n.output
	*n = *old
	n.byState, n.today, n.day, n.output = byState, today, day, output
}

// roomAgain goes on as after a restart: no device was heard of while nothing was decided, and none of them is to blame.
func (c *Core) roomAgain() {
	if c.storage == storageFull {
		for _, d := range c.devices {
			d.last = c.now
		}
	}
	c.storage, c.pending = storageOK, true
	c.tell()
	c.event(cluster.Event{Kind: cluster.StorageOK})
}

// tell turns what was noted between two rounds into events, once they can be written.
func (c *Core) tell() {
	if c.storage == storageFull {
		return
	}
	for _, e := range c.notes {
		c.event(e)
	}
	c.notes = nil
}

// commitOrLetGo commits a batch, if need be with the space that the ballast held. errNotCommitted: the disk is full all the same.
func (l *loop) commitOrLetGo(b *store.Batch) error {
	err := b.Commit(l.background())
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	released, releaseErr := l.ballast.Release()
	if releaseErr != nil {
		return errors.Join(err, releaseErr)
	}
	if released {
		l.core.log.Error("the disk is full: nothing is taken or given out, results are recorded from a reserve", "needs_free", l.ballast.Needs())
		l.core.lowOnDisk()
		if err = b.Commit(l.background()); !errors.Is(err, store.ErrFull) {
			return err
		}
	}
	if l.core.storage != storageFull {
		l.core.log.Error("the disk is full, and so is the reserve: devices keep their results until there is space", "needs_free", l.ballast.Needs(), "err", err)
	}
	return fmt.Errorf("%w: %w", errNotCommitted, err)
}

// giveUp forgets a round that the disk did not take, and tells nobody of it but those who wait for it in this process.
func (l *loop) giveUp(inputs []*Input, now time.Time) error {
	ends, err := l.core.forget(now)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if in.done != nil {
			in.err = l.core.tryAgain()
			close(in.done)
		}
	}
	l.act(ends)
	return nil
}

// watchDisk looks whether there is space again.
func (l *loop) watchDisk(now time.Time) error {
	if l.core.storage == storageOK && l.ballast.Held() || !l.ballast.Room() {
		return nil
	}
	if err := l.ballast.Fill(); err != nil {
		l.core.log.Debug("not yet", "err", err)
		return nil
	}
	if l.core.storage == storageOK { // it was too full for a reserve at the start
		return nil
	}
	l.core.log.Info("the disk has space again")
	in := Ask((*Core).roomAgain)
	return l.round([]*Input{in}, now)
}
