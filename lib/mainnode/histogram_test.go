package mainnode

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func TestHistogram(t *testing.T) {
	h := newHistogram([]float64{1, 5})
	for _, v := range []float64{0, 1, 1.5, 5, 6, 100} {
		h.add(v)
	}
	if !slices.Equal(h.counts, []int64{2, 2, 2}) || h.sum != 113.5 {
		t.Errorf("%v, %g", h.counts, h.sum)
	}
	var b byType
	for i := range 2 * typesCounted {
		b.add(fmt.Sprintf("custom-%d", i), 1)
		b.add(task.TypeShell, 1)
	}
	if told := b.told(); len(told) != typesCounted+2 || told[otherTypes].Counts[3] != typesCounted || told[task.TypeShell].Counts[3] != 2*typesCounted {
		t.Errorf("%d types, %+v", len(told), told[otherTypes])
	}
}

// What tasks waited and ran is counted once for each start and end, by their type.
func TestTaskTimes(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	r.submit(admin, 2)
	first := pi.one()
	r.pass(3 * time.Second)
	pi.result(first, task.AttemptCompleted, "")
	pi.result(pi.one(), task.AttemptFailed, "")
	m := r.c.metrics()
	if h := m.Runs[task.TypeEcho]; len(m.Runs) != 1 || h.Sum != 2 || h.Counts[3] != 2 {
		t.Errorf("they ran a second each: %+v", m.Runs)
	}
	if h := m.Waits[task.TypeEcho]; len(m.Waits) != 1 || h.Sum != m.WaitSeconds || h.Counts[4] != 2 {
		t.Errorf("they waited 3 seconds each: %+v, %g", m.Waits, m.WaitSeconds)
	}
	if s := m.Settings; s.Heartbeat != r.c.set.Heartbeat.Seconds() || s.Protocol != wire.Spoken {
		t.Errorf("%+v", s)
	}
}
