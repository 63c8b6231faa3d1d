package mainnode

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// tick is how often the core looks at the time; nothing in it is more exact.
const tick = time.Second

// timeouts does what time has brought.
func (c *Core) timeouts() {
	if c.now.Sub(c.ticked) < tick {
		return
	}
	c.ticked = c.now
	if len(c.later) > 0 {
		c.due()
	}
	if len(c.reserving)+len(c.crowded) > 0 {
		c.pending = true
	}
	c.silence()
	c.wakeUp()
	c.expireTokens()
	c.sumUp(false)
	for id, i := range c.invites {
		if c.now.After(i.Expires.Add(time.Hour)) {
			delete(c.invites, id)
		}
	}
}

// counts are what the overview and the metrics tell.
type counts struct {
	byState   map[task.State]int64
	output    int64 // bytes that are kept
	today     int64 // tasks completed since midnight
	day       int   // of the year, that today counts
	submitted int64 // all that follow count since the start
	assigned  int64
	requeued  int64
	lost      int64
	stale     int64
	orphans   int64
	endedBy   map[task.State]int64
	ran       time.Duration
	waited    time.Duration
	batches   int64
	requests  int64
	commits   time.Duration

	runs, waits    byType // as ran and waited
	commitTimes    *histogram
	inputsOfRounds *histogram // that were committed

	backedUp      time.Time // all that was committed until then is in a backup
	backupsFailed int64
}

func (n *counts) state(s task.State, by int64) { n.byState[s] += by }

func (n *counts) ended(s task.State, at time.Time) {
	n.endedBy[s]++
	n.newDay(at)
	if s == task.Completed {
		n.today++
	}
}

func (n *counts) newDay(at time.Time) {
	if d := at.YearDay(); d != n.day {
		n.day, n.today = d, 0
	}
}

// keptEnded is the number of tasks that are over and kept.
func (n *counts) keptEnded() (sum int64) {
	for s, many := range n.byState {
		if s.Ended() {
			sum += many
		}
	}
	return sum
}

// openOutput is what running attempts have printed, in bytes: no task that has ended is to make room for it.
func (c *Core) openOutput() (sum int64) {
	for _, d := range c.devices {
		for _, t := range d.held {
			sum += t.last.Output
		}
	}
	return sum
}
