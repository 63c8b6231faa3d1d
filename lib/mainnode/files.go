package mainnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/depot"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// The files that tasks are sent and bring back. The loop has no part in how they travel: it only notes which tasks they belong to.

const (
	dirFiles    = "files"
	unwantedFor = 24 * time.Hour // that a file is kept which belongs to no task: it may be about to
	sweepEvery  = time.Hour
)

func openFiles(dir string) (*depot.Depot, error) {
	return depot.Open(filepath.Join(dir, dirFiles), true)
}

// filePut takes a file.
func (c *conn) filePut(m *wire.Message, role wire.Role) error {
	if role != wire.RoleFiles && !role.May(wire.RoleSubmit) {
		return wire.Errorf(wire.ErrForbidden, "file_put: this needs a token of the role submit, yours is %s", role)
	}
	var f wire.FilePut
	if err := m.Decode(&f); err != nil {
		return err
	}
	if err := depot.CheckSum(f.SHA256); err != nil || f.Size < 0 {
		return wire.Errorf(wire.ErrField, "file_put: sha256 %.70q, size %d", f.SHA256, f.Size)
	}
	if most := c.node.filesLimit.Load(); f.Size > task.MaxFileSize || most > 0 && f.Size > most {
		return wire.Errorf(wire.ErrTooLarge, "file %.12s… of %d MiB (files_limit is %d MiB)", f.SHA256, f.Size>>20, most>>20)
	}
	in, err := c.node.files.Receive(f.SHA256, f.Size)
	switch {
	case errors.Is(err, fs.ErrExist):
		return c.answerNow(m, wire.FileState{Size: f.Size, Offset: f.Size})
	case errors.Is(err, depot.ErrBusy):
		return &wire.Error{Code: "E_RATE", RetryAfter: 1000, Text: fmt.Sprintf("file %.12s… is being received from somebody else", f.SHA256)}
	case err != nil:
		return err
	}
	defer in.Close()
	begin := in.Offset()
	if err := c.node.roomFor(f.Size - in.Offset()); err != nil {
		return err
	}
	if in.Offset() < f.Size {
		if err := c.answerNow(m, wire.FileState{Size: f.Size, Offset: in.Offset()}); err != nil {
			return err
		}
		if err := c.wire.ReceiveRaw(in, f.Size-in.Offset()); err != nil {
			if wire.IsLocal(err) {
				in.Discard() // or it would keep the disk full
				// the other side goes on sending, and hears of it then
				c.sayNow(wire.Message{Type: wire.TypeError, ReplyTo: m.ID, Body: wire.NewError(wire.Errorf(wire.ErrStorageFull, "file %.12s…: %v", f.SHA256, err))})
			}
			return cutOff{err}
		}
	}
	if err := in.Commit(); err != nil {
		if errors.Is(err, depot.ErrOther) && begin > 0 { // what was there before may not have outlived a power cut
			return &wire.Error{Code: "E_RATE", RetryAfter: 100, Text: fmt.Sprintf("file %.12s…: what was there of it was damaged; send it again", f.SHA256)}
		}
		if errors.Is(err, depot.ErrOther) {
			return wire.Errorf(wire.ErrConflict, "file %.12s…: what came is not what it was to be; it was changed while it was sent", f.SHA256)
		}
		return err
	}
	return c.answerNow(m, wire.FileState{Size: f.Size, Offset: f.Size})
}

// fileGet gives a file.
func (c *conn) fileGet(m *wire.Message, role wire.Role) error {
	if role != wire.RoleFiles && !role.May(wire.RoleRead) {
		return wire.Errorf(wire.ErrForbidden, "file_get: this needs a token")
	}
	var g wire.FileGet
	if err := m.Decode(&g); err != nil {
		return err
	}
	if err := depot.CheckSum(g.SHA256); err != nil {
		return wire.Errorf(wire.ErrField, "file_get: sha256 %.70q", g.SHA256)
	}
	if owner := c.owner(); owner != "" {
		if mine, err := c.node.db.OwnsFile(context.Background(), g.SHA256, owner); err != nil || !mine {
			return cmp.Or(err, wire.Errorf(wire.ErrNoFile, "file %.12s…", g.SHA256))
		}
	}
	f, size, err := c.node.files.Get(g.SHA256)
	if errors.Is(err, depot.ErrNotHere) {
		return wire.Errorf(wire.ErrNoFile, "file %.12s…", g.SHA256)
	}
	if err != nil {
		return wire.Errorf(wire.ErrInternal, "file %.70q: %v", g.SHA256, err)
	}
	defer f.Close()
	if g.Offset < 0 || g.Offset > size {
		return wire.Errorf(wire.ErrField, "file_get: offset %d of %d bytes", g.Offset, size)
	}
	if _, err := f.Seek(g.Offset, 0); err != nil {
		return err
	}
	if err := c.answerNow(m, wire.FileState{Size: size}); err != nil {
		return err
	}
	if err := c.wire.SendRaw(f, size-g.Offset); err != nil {
		return cutOff{err}
	}
	return nil
}

// cutOff ends a connection on which nobody knows any more what comes next.
type cutOff struct{ error }

// answerNow answers past the outbox, in which nothing is on a connection for files.
func (c *conn) answerNow(m *wire.Message, body any) error {
	return c.sayNow(wire.Message{Type: wire.TypeAck, ReplyTo: m.ID, Body: body})
}

func (c *conn) sayNow(m wire.Message) error {
	c.wire.SetWriteDeadline(time.Now().Add(writeTime))
	if err := c.wire.WriteMessages(m); err != nil {
		return cutOff{err}
	}
	return nil
}

// roomFor says why so many bytes more cannot be kept; nil: they can.
func (n *Node) roomFor(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	have := n.files.Bytes()
	if most := n.filesLimit.Load(); most > 0 && have > most {
		return wire.Errorf(wire.ErrStorageFull, "the main node keeps %d MiB of files and may keep %d (files_limit); there is no room for %d MiB more", (have-bytes)>>20, most>>20, bytes>>20)
	}
	if _, free, ok := store.Space(n.dir); ok && free-n.files.Reserved() < n.core.roomNeeded { // these bytes are among those
		return wire.Errorf(wire.ErrStorageFull, "no room for %d MiB: %d are free", bytes>>20, free>>20)
	}
	return nil
}

// hasInputs says which file that a task is to be sent is not here.
func (n *Node) hasInputs(specs []task.Spec) error {
	seen := map[string]bool{}
	for i := range specs {
		if specs[i].Files == nil {
			continue
		}
		for _, f := range specs[i].Files.In {
			if seen[f.SHA256] {
				continue
			}
			seen[f.SHA256] = true
			if size, err := n.files.Size(f.SHA256); err != nil || size != f.Size {
				return wire.Errorf(wire.ErrNoFile, "submit: task %d: input %q: the main node does not have it; send it first", i+1, f.Name)
			}
		}
	}
	return nil
}

// sweep removes files that belong to no task any more, and a former key, now and then.
func (n *Node) sweep(ctx context.Context) {
	every := time.NewTicker(sweepEvery)
	defer every.Stop()
	for {
		n.keys.forget()
		err := n.files.Sweep(unwantedFor, func(sum string) (bool, error) { return n.db.WantsFile(ctx, sum) })
		if err != nil && ctx.Err() == nil {
			n.log.Warn("cannot remove files that no task needs any more", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}
