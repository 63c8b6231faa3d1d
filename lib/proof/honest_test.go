package proof

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// whole is the grant without bounds.
var whole = cluster.Grant{Exec: true}

// honest asks again and again as people do, while others do what they should not, and notes how long it takes.
type honest struct {
	stop  chan struct{}
	group sync.WaitGroup
	took  []time.Duration
	err   error
}

func newHonest(s *stage) *honest {
	h := &honest{stop: make(chan struct{})}
	c := s.client()
	h.group.Go(func() {
		defer c.Close()
		for {
			began := time.Now()
			if _, err := c.Task(within(s.t, ready), task.ID(1).String()); err != nil && h.err == nil {
				h.err = err
			}
			h.took = append(h.took, time.Since(began))
			select {
			case <-h.stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return h
}

// end ends it and gives the 99th percentile of what it took to be answered.
func (h *honest) end(t *testing.T) time.Duration {
	t.Helper()
	close(h.stop)
	h.group.Wait()
	if h.err != nil {
		t.Errorf("somebody honest was not answered: %v", h.err)
	}
	slices.Sort(h.took)
	return h.took[len(h.took)*99/100]
}
