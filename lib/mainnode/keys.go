package mainnode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// keys are the main node's own: the one that it has, and for a while after it was given another the one before that, for those who have not
// heard of the new one. The file of the former one is as old as the rotation, and names in its last-modified time when that one ends.
type keys struct {
	dir, name string

	mu          sync.Mutex
	now, former *wire.Identity // former is nil where there is none
	until       time.Time      // the former one is good
}

// How long a former key is good.
const (
	formerTime = 14 * 24 * time.Hour
	formerMost = 365 * 24 * time.Hour
)

// loadKeys reads the main node's keys, or makes the first one.
func loadKeys(dir, name string) (*keys, error) {
	k := &keys{dir: dir, name: name}
	var err error
	if k.now, err = readIdentity(k.path(fileIdentity)); errors.Is(err, fs.ErrNotExist) {
		k.now, err = k.make()
	}
	if err != nil {
		return nil, err
	}
	if k.former, err = readIdentity(k.path(fileFormer)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if info, err := os.Stat(k.path(fileFormer)); err == nil {
		k.until = info.ModTime()
	}
	return k, nil
}

func (k *keys) path(name string) string { return filepath.Join(k.dir, name) }

func readIdentity(path string) (*wire.Identity, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return wire.ParseIdentity(b)
}

// make makes a key and keeps it.
func (k *keys) make() (*wire.Identity, error) {
	identity, err := wire.NewIdentity(k.name)
	if err != nil {
		return nil, err
	}
	return identity, k.keep(fileIdentity, identity)
}

func (k *keys) keep(name string, identity *wire.Identity) error {
	b, err := identity.PEM()
	if err != nil {
		return err
	}
	return cli.WriteFile(k.path(name), b, 0o600)
}

// pick is the identity for who expects one.
func (k *keys) pick(expected string) *wire.Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.former != nil && expected == k.former.Fingerprint() && time.Now().Before(k.until) {
		return k.former
	}
	return k.now
}

func (k *keys) fingerprint() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now.Fingerprint()
}

// rotate makes another key; while the former one is good only by force. Whatever it is interrupted by, the key that is left is one that devices know or
// are told of.
func (k *keys) rotate(until time.Time, force bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.former != nil && time.Now().Before(k.until) && !force {
		return wire.Errorf(wire.ErrConflict, "devices may still know only the key before this one, which is good until %s; --force ends its time", k.until.UTC().Format(time.DateTime))
	}
	if err := k.keep(fileFormer, k.now); err != nil {
		return err
	}
	if err := os.Chtimes(k.path(fileFormer), time.Time{}, until); err != nil {
		return err
	}
	fresh, err := k.make()
	if err != nil {
		return err
	}
	k.former, k.now, k.until = k.now, fresh, until
	return nil
}

// forget removes the former key when its time is over.
func (k *keys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.former != nil && time.Now().After(k.until) {
		k.former = nil
		os.Remove(k.path(fileFormer))
	}
}

// rotateKey gives the main node another key, and tells it to all devices that are connected; the others are told when they come.
func (c *conn) rotateKey(ctx context.Context, m *wire.Message, role wire.Role) error {
	if !role.May(wire.RoleAdmin) {
		return wire.Errorf(wire.ErrForbidden, "rotate_key: this needs a token of the role admin, yours is %s", role)
	}
	var ask wire.RotateKey
	if err := m.Decode(&ask); err != nil {
		return err
	}
	within := time.Duration(ask.Within) * time.Second
	if ask.Within < 0 || ask.Within > int64(formerMost.Seconds()) {
		return wire.Errorf(wire.ErrField, "rotate_key: within %d seconds: at most a year", ask.Within)
	}
	if within == 0 {
		within = formerTime
	}
	done, err := c.node.rotate(context.WithoutCancel(ctx), c.who.Load(), within, ask.Force) // who asks may have gone
	c.reply(*m, done, err)
	return nil
}

func (n *Node) rotate(ctx context.Context, who *standing, within time.Duration, force bool) (done wire.KeyRotated, err error) {
	done.Until = time.Now().Add(within).UTC().Truncate(time.Second)
	if err := n.keys.rotate(done.Until, force); err != nil {
		return done, fmt.Errorf("rotate_key: %w", err)
	}
	done.Fingerprint = n.keys.fingerprint()
	if err := keepFile(filepath.Join(n.dir, wire.FileFingerprint), done.Fingerprint, 0o644); err != nil {
		n.log.Error("the key is another one, and the file that says so could not be written; it is when the main node starts", "fingerprint", done.Fingerprint, "err", err)
	}
	return done, n.loop.ask(ctx, func(c *Core) {
		c.fingerprint = done.Fingerprint
		for _, d := range c.byName() {
			if d.session != nil {
				c.say(d.session.id, wire.Message{Type: wire.TypePin, Target: d.row.ID, Body: wire.Pin{Fingerprint: done.Fingerprint}})
			}
		}
		c.event(cluster.Event{Kind: cluster.KeyRotated, Reason: "the one before is good until " + done.Until.Format(time.DateTime)})
		c.audit(entry{Who: who.who, From: who.from, What: wire.TypeRotateKey, On: done.Fingerprint, Result: "ok"})
	})
}
