package mainnode

import (
	"context"
	"encoding/hex"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// bell wakes all who wait for it.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed by the next ring
}

func newBell() *bell { return &bell{rung: make(chan struct{})} }

// next is closed when the bell rings next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}

const auditPage = 512 // lines at a time

// followAudit sends the lines of the audit log that a follower asked for.
func (n *Node) followAudit(ctx context.Context, f *wire.FollowAudit, send func(string, any) error) error {
	after := f.After
	if f.Last > 0 {
		last, err := n.db.LastAudited(ctx)
		if err != nil {
			return err
		}
		after = max(after, last.Seq-int64(f.Last))
	}
	for {
		more := n.bell.next() // before looking, so that no line falls in between
		page, err := n.db.Audit(ctx, after, auditPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			if err := send(wire.TypeAudited, wire.Audited{Seq: a.Seq, Line: string(a.Line), Hash: hex.EncodeToString(a.Hash)}); err != nil {
				return err
			}
			after = a.Seq
		}
		switch {
		case len(page) == auditPage:
			continue
		case !f.Follow:
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil
		}
	}
}
