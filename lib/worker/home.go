package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/executor"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Files of a worker's data directory.
const (
	fileIdentity   = "worker.pem"
	fileMembership = "worker.json"
	fileSpool      = "results.log"
	fileLock       = "worker.lock"
	fileSpeed      = "speed.json"
	dirAttempts    = "attempts"
	dirOrphans     = "orphans"
	dirCache       = "files"
	dirTypes       = "tasks.d"
)

// ErrInUse says that the data directory has its worker already: two of one identity would take the connection from each other.
var ErrInUse = errors.New("another rc-workerd is using this data directory; --data chooses another")

// home is a worker's data directory.
type home struct {
	dir      string
	lock     *os.File
	identity *wire.Identity

	mu     sync.Mutex // held for member while the worker works
	member membership
}

// membership is which cluster this device belongs to.
type membership struct {
	DeviceID    string   `json:"device_id"`
	Fingerprint string   `json:"fingerprint"`     // of the main node
	Addresses   []string `json:"addresses"`       // of the main node, the one that worked last first
	Local       string   `json:"local,omitempty"` // data directory of a main node on this host, which tells its address
	BootCount   int64    `json:"boot_count"`
}

// openHome opens a data directory, and makes the device's key where there is none.
func openHome(dir string) (h *home, err error) {
	h = &home{dir: dir}
	if err := h.makeDirs(); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := cli.Lock(h.path(fileLock))
	if errors.Is(err, cli.ErrLocked) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	h.lock = lock
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err := h.loadIdentity(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(h.path(fileMembership))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &h.member)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", h.path(fileMembership), err)
	}
	return h, nil
}

func (h *home) makeDirs() error {
	for _, d := range []string{h.dir, h.path(dirAttempts), h.path(dirTypes)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// letIn lets another user, as whom tasks run, get to what is theirs. The files in it are the worker's all the same.
func (h *home) letIn(user int) error {
	if user == 0 || os.Getuid() != 0 {
		return nil
	}
	for dir, more := range map[string]fs.FileMode{h.dir: 0o011, h.path(dirTypes): 0o055} {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&more != more {
			err = os.Chmod(dir, info.Mode()|more)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sandbox keeps tasks from this worker's data, and from that of a main node on the same host.
func (h *home) sandbox(o *Options) executor.Sandbox {
	return executor.Sandbox{Hidden: append(wire.LocalDirs(o.MainData, o.Env), h.dir), Readable: []string{h.path(dirTypes)}, Writable: o.AllowWrite, User: o.TaskUser, Group: o.TaskGroup}
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

func (h *home) loadIdentity() error {
	b, err := os.ReadFile(h.path(fileIdentity))
	if err == nil {
		h.identity, err = wire.ParseIdentity(b)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if h.identity, err = wire.NewIdentity("worker"); err != nil {
		return err
	}
	if b, err = h.identity.PEM(); err != nil {
		return err
	}
	return cli.WriteFile(h.path(fileIdentity), b, 0o600)
}

// joined says whether the device belongs to a cluster.
func (h *home) joined() bool { return h.member.DeviceID != "" }

func (h *home) save() error {
	b, err := json.MarshalIndent(&h.member, "", "  ")
	if err != nil {
		return err
	}
	return cli.WriteFile(h.path(fileMembership), append(b, '\n'), 0o600)
}

// booted counts this start. It is on disk before the main node hears of it, so that no two lives look alike.
func (h *home) booted(atLeast int64) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.member.BootCount = max(h.member.BootCount+1, atLeast)
	return h.member.BootCount, h.save()
}

// addresses are where the main node may be found, the likeliest first.
func (h *home) addresses(env func(string) (string, bool)) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(h.member.Addresses)
	if h.member.Local != "" {
		if l, err := wire.FindLocal(h.member.Local, env); err == nil {
			all = slices.Insert(all, 0, l.Address)
		}
	}
	return slices.Compact(all)
}

// pin keeps which main node is the right one, after that one has said so.
func (h *home) pin(fingerprint string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if fingerprint == h.member.Fingerprint || wire.CheckFingerprint(fingerprint) != nil {
		return nil
	}
	h.member.Fingerprint = fingerprint
	return h.save()
}

// pinned is the fingerprint of the right main node.
func (h *home) pinned() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.member.Fingerprint
}

const mostAddresses = 16

// learn keeps the addresses that the main node tells, the one that worked first.
func (h *home) learn(worked string, told []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []string{worked}
	for _, a := range told {
		if wire.CheckAddress(a) == nil && !slices.Contains(all, a) && len(all) < mostAddresses {
			all = append(all, a)
		}
	}
	if slices.Equal(all, h.member.Addresses) {
		return nil
	}
	h.member.Addresses = all
	return h.save()
}
