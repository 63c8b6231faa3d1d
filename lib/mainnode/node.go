package mainnode

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/depot"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Files of the data directory that are the main node's own; see wire for those that others read.
const (
	fileDatabase = "cluster.db"
	fileIdentity = "main.pem"
	fileFormer   = "main.former.pem" // the key before that, while it is good
	fileBallast  = "ballast"
)

// Node is a main node: a data directory, and what goes on in it.
type Node struct {
	dir    string
	log    *slog.Logger
	db     *store.DB
	keys   *keys
	tls    *tls.Config
	core   *Core
	loop   *loop
	events *eventLog
	lately lately
	wakes  *wakes
	bell   *bell // rings when the audit log has another line

	lastSession atomic.Int64
	strangers   *strangers
	backup      Backup
	files       *depot.Depot
	filesLimit  atomic.Int64
	wakeTo      []string
	plainFrom   []netip.Prefix
	discovery   string

	mu    sync.Mutex
	conns map[int64]*conn
}

// Open opens a data directory, and makes it what it must be where it is new. self is how the main node calls itself:
// "rc-mained 0.1.0". beat is called at least once a second while the loop is alive; it may be nil.
func Open(ctx context.Context, dir, self string, set Settings, log *slog.Logger, beat func()) (n *Node, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	cli.SyncDir(filepath.Dir(dir))
	db, err := store.Open(ctx, DatabaseFile(dir), BackupDir(dir, set.Backup.Dir))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	keys, err := loadKeys(dir, set.Name)
	if err != nil {
		return nil, err
	}
	core, err := NewCore(ctx, set, db, log, time.Now(), newLease)
	if err != nil {
		return nil, err
	}
	core.self, core.fingerprint = self, keys.fingerprint()
	if beat == nil {
		beat = func() {}
	}
	n = &Node{dir: dir, log: log, db: db, keys: keys, tls: wire.ServerTLS(keys.pick), core: core, events: newEventLog(core.lastEvent), wakes: newWakes(), bell: newBell(),
		strangers: newStrangers(), conns: map[int64]*conn{}, backup: set.Backup}
	n.strangers.expect(core.lastAddresses())
	if n.files, err = openFiles(dir); err != nil {
		return nil, err
	}
	n.filesLimit.Store(set.FilesLimit)
	n.wakeTo, n.discovery, n.plainFrom = set.WakeTo, set.Discovery, set.PlainFrom
	ballast := store.NewBallast(filepath.Join(dir, fileBallast))
	core.roomNeeded = ballast.Needs()
	n.loop = &loop{ballast: ballast, core: core, in: make(chan *Input, maxBatch), events: n.events, lately: &n.lately, wakes: n.wakes, bell: n.bell, act: n.act, beat: beat}
	return n, n.firstRound()
}

// firstRound notes the start and leaves in the data directory what commands on this host need.
func (n *Node) firstRound() error {
	c := n.core
	if err := n.loop.commit(c.Start(time.Now())); err != nil {
		return err
	}
	if c.storage == storageOK {
		if err := n.loop.ballast.Fill(); err != nil { // then it will have to do without
			n.log.Warn("no reserve for a full disk", "err", err)
		}
	}
	c.begin(time.Now())
	kept, _ := os.ReadFile(filepath.Join(n.dir, wire.FileToken))
	token := c.adminToken(strings.TrimSpace(string(kept)))
	if err := n.loop.commit(c.decided()); err != nil {
		return err
	}
	if err := n.keepHostToken(token); err != nil {
		return err
	}
	return keepFile(filepath.Join(n.dir, wire.FileFingerprint), c.fingerprint, 0o644)
}

func (n *Node) keepHostToken(token string) error {
	return keepFile(filepath.Join(n.dir, wire.FileToken), token, 0o600)
}

// keepFile writes a line into a file, where it does not stand there already: a full disk is no reason then not to start.
func keepFile(path, line string, perm fs.FileMode) error {
	line += "\n"
	is, err := os.ReadFile(path)
	if fi, e := os.Stat(path); err == nil && e == nil && string(is) == line && fi.Mode().Perm() == perm {
		return nil
	}
	return cli.WriteFile(path, []byte(line), perm)
}

// Fingerprint is what others know this main node by.
func (n *Node) Fingerprint() string { return n.keys.fingerprint() }

// Announce leaves in the data directory where this main node can be reached.
func (n *Node) Announce(listeners ...net.Listener) error {
	n.core.addresses = addresses(listeners)
	return cli.WriteFile(filepath.Join(n.dir, wire.FileAddress), []byte(local(listeners[0].Addr())+"\n"), 0o644)
}

// Serve serves on listeners until ctx is done, then ends every session and commits what was decided. An error means that the disk did
// not take a commit.
func (n *Node) Serve(ctx context.Context, listeners ...net.Listener) error {
	// Sessions end after the loop, so that the last answers still leave.
	speaking, hush := context.WithCancel(context.WithoutCancel(ctx))
	defer hush()
	defer os.Remove(filepath.Join(n.dir, wire.FileAddress))
	var sessions sync.WaitGroup
	for _, l := range listeners {
		sessions.Go(func() { n.accept(speaking, l, &sessions) })
	}
	caring, rest := context.WithCancel(ctx)
	n.beFound(caring, &sessions)
	var care sync.WaitGroup
	care.Go(func() { n.care(caring) })
	care.Go(func() { n.sweep(caring) })
	err := n.loop.run(ctx)
	rest()
	care.Wait()
	hush()
	for _, l := range listeners {
		l.Close()
	}
	n.discard(&sessions)
	return err
}

// discard waits for the sessions to end, and drops what they still say: nothing is decided any longer.
func (n *Node) discard(sessions *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { sessions.Wait(); close(done) }()
	for {
		select {
		case <-n.loop.in: // who asked is told by the end of its context
		case <-done:
			return
		}
	}
}

// Close closes the database.
func (n *Node) Close() error { return n.db.Close() }

// Change takes new settings while the main node runs: those for which it makes no difference that they change.
func (n *Node) Change(ctx context.Context, set Settings) error {
	return n.loop.ask(ctx, func(c *Core) {
		c.set.Keep, c.set.QueueLimit = set.Keep, set.QueueLimit
		n.filesLimit.Store(set.FilesLimit)
		c.audit(entry{Who: whoMain, What: "settings", On: "read again", Result: "ok"})
	})
}

// accept takes connections until the listener is closed.
func (n *Node) accept(ctx context.Context, l net.Listener, sessions *sync.WaitGroup) {
	for {
		raw, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			n.log.Warn("cannot accept a connection", "err", err) // out of files, mostly: let some end
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ctx.Done():
				return
			}
		}
		if !n.strangers.admit(raw, time.Now()) {
			n.log.Debug("connections come too fast from there", "from", raw.RemoteAddr().String())
			raw.Close()
			continue
		}
		sessions.Go(func() { n.serve(ctx, raw) })
	}
}

// give hands an input to the loop. It waits while the loop is busy: that is what slows down who asks too much.
func (n *Node) give(in *Input) error {
	n.loop.in <- in
	return nil
}

func (n *Node) open(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c.id] = c
}

func (n *Node) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c.id)
	if c.role.Load() == nil {
		n.strangers.leave(c.raw, false)
	}
}

// enrolled says whether a device with this key has joined.
func (n *Node) enrolled(ctx context.Context, fingerprint string) (yes bool) {
	ctx, cancel := context.WithTimeout(ctx, strangerTime)
	defer cancel()
	known := make(chan bool, 1)
	if n.loop.ask(ctx, func(c *Core) { known <- c.byKey[fingerprint] != nil }) != nil {
		return false
	}
	return <-known
}

// act does what the core decided, after it was committed.
func (n *Node) act(effects []Effect) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range effects {
		e := &effects[i]
		if e.Wake != nil {
			go n.sendWake(e.Wake)
			continue
		}
		if e.Host != "" {
			if err := n.keepHostToken(e.Host); err != nil {
				n.log.Error("commands on this host have no token until rc-mained is started again", "err", err)
			}
			continue
		}
		if e.After > 0 {
			late := *e
			late.After = 0
			time.AfterFunc(e.After, func() { n.act([]Effect{late}) })
			continue
		}
		c := n.conns[e.Session]
		if c == nil {
			continue
		}
		if e.Role != "" && c.role.Load() == nil {
			c.welcomed(e.Role, e.Who)
			n.strangers.leave(c.raw, true)
		}
		if e.Message.Type != "" {
			c.out.put(e.Message)
		}
		if e.Close {
			c.end()
		}
	}
}

// addresses are those at which this host can be reached from the network; on loopback alone, that one.
func addresses(listeners []net.Listener) (all []string) {
	for _, l := range listeners {
		host, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			continue
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			all = append(all, net.JoinHostPort(host, port))
			continue
		}
		found, _ := net.InterfaceAddrs()
		for _, a := range found {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				all = append(all, net.JoinHostPort(n.IP.String(), port))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return strings.Count(a, ":") - strings.Count(b, ":") }) // IPv4 first: homes have it
	return all[:min(len(all), 16)]
}

// local is an address that reaches the listener from this host.
func local(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
