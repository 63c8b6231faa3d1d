package mainnode

import (
	"context"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// printed is all that an attempt printed, where that is little.
type printed struct {
	task    task.ID
	attempt int
	chunks  []task.Chunk
}

// lately is what attempts that ended just now have printed: those who follow events with output want it at once, and need not ask the disk for it.
type lately struct {
	mu     sync.Mutex
	byTask map[task.ID]printed
	size   int
}

const maxLately = 1 << 20 // bytes

func (l *lately) add(all []printed) {
	if len(all) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range all {
		if l.byTask == nil || l.size > maxLately {
			l.byTask, l.size = map[task.ID]printed{}, 0
		}
		l.byTask[p.task] = p
		for _, c := range p.chunks {
			l.size += len(c.Data) + 128
		}
	}
}

func (l *lately) get(id task.ID, attempt int) ([]task.Chunk, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.byTask[id]
	return p.chunks, ok && p.attempt == attempt
}

// outputOf is what an attempt printed, from memory or from the disk.
func (n *Node) outputOf(ctx context.Context, id task.ID, attempt int) ([]task.Chunk, error) {
	if chunks, ok := n.lately.get(id, attempt); ok {
		return chunks, nil
	}
	return n.db.Output(ctx, id, attempt, 0, wire.MaxInline)
}
