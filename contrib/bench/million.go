package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Fleets that keep a main node busy: so many devices with so many slots each.
const busyDevices, busySlots = 16, 4

// queueOf is a main node with a queue that simulated devices can be let at.
type queueOf struct {
	main    *mainNode
	fleet   *fleet
	specs   func(i int) task.Spec
	refills bool // it is filled again before each round, since a round empties it
	length  int
}

// queueOf starts a main node and fills its queue.
func (r *run) queueOf(name string, length int, refills bool, specs func(i int) task.Spec) (*queueOf, error) {
	m, err := r.mainNode(name, nil)
	if err != nil {
		return nil, err
	}
	q := &queueOf{main: m, specs: specs, refills: refills, length: length}
	if q.fleet, err = r.fleet(m, busyDevices, busySlots); err != nil {
		return nil, err
	}
	if err := q.fleet.connect(atATime); err != nil {
		return nil, err
	}
	if refills {
		return q, nil
	}
	return q, r.queueTasks(m, length, specs)
}

// rounds has tasks done, some in each of several rounds, and adds up what that cost.
func (q *queueOf) rounds(rounds, tasks int) (all cost, err error) {
	for range rounds {
		if q.refills {
			if err := q.fleet.r.queueTasks(q.main, q.length, q.specs); err != nil {
				return all, err
			}
		}
		c, err := q.fleet.drain(tasks)
		if err != nil {
			return all, err
		}
		all.tasks, all.wall, all.cpu = all.tasks+c.tasks, all.wall+c.wall, all.cpu+c.cpu
	}
	return all, nil
}

const roundsOfDispatch = 5 // of a thousand tasks: one is over in a moment

// dispatched is how many tasks go from a queue at most while it is compared with another.
func (r *run) dispatched(some int) int {
	return (r.set.pairs + 1) * roundsOfDispatch * (some + busyDevices*busySlots)
}

// rowMillion fills a queue, and looks at what that does to everything else.
func rowMillion(r *run) error {
	some := r.size(1_000, 200)
	n := max(r.size(1_000_000, 20_000), r.dispatched(some))
	few, err := r.queueOf("few", some, true, echo)
	if err != nil {
		return err
	}
	began := time.Now()
	many, err := r.queueOf("many", n, false, echo)
	if err != nil {
		return err
	}
	r.tell("queued tasks", once(float64(n)), "")
	r.tell("submitted", once(float64(n)/time.Since(began).Seconds()), "/s")
	many.fleet.hangUp()
	if err := r.weigh(many.main, n); err != nil {
		return err
	}
	if err := many.fleet.connect(atATime); err != nil {
		return err
	}
	fast, slow, err := r.pairs(
		func() (float64, error) { c, err := few.rounds(roundsOfDispatch, some); return c.rate(), err },
		func() (float64, error) { c, err := many.rounds(roundsOfDispatch, some); return c.rate(), err })
	if err != nil {
		return err
	}
	r.atLeast(fmt.Sprintf("dispatch, against that with %s queued", number(float64(some), "")), both(slow, fast, ratio).figure(), "", 0.9)
	r.tell("dispatch, to recorded result", slow.figure(), "/s")
	looks, _, err := r.often(many.main, r.size(20, 5), "rc-status")
	if err != nil {
		return err
	}
	r.atMost("rc-status: p50", once(looks.median()), "ms", 100)
	return r.restartMany(many)
}

// weigh measures what queued tasks take in memory and on disk. It starts the main node again.
func (r *run) weigh(m *mainNode, n int) error {
	held, err := inMiB(m.pid(), resident)
	if err != nil {
		return err
	}
	r.atMost("memory of the main node", held, "MiB", 200)
	// The end brings what is in the write-ahead log into the database, so that nothing is counted twice.
	if err := r.halt(m); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(m.data, "cluster.db"))
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	r.atMost("database a task", once(float64(info.Size())/float64(n)), "bytes", 500)
	return r.resume(m)
}

// restartMany starts the main node again, with devices that wait for work.
func (r *run) restartMany(q *queueOf) error {
	f := q.fleet
	f.hangUp()
	for _, d := range f.devices {
		d.status = device.Online
	}
	select {
	case <-f.first:
	default:
	}
	if err := r.restart(q.main); err != nil {
		return err
	}
	f.aimFor(1)
	if err := f.connect(atATime); err != nil {
		return err
	}
	var first time.Time
	select {
	case first = <-f.first:
	case <-r.ctx.Done():
		return fmt.Errorf("wait for an assignment after the restart: %w", r.ctx.Err())
	}
	held, err := inMiB(q.main.pid(), resident)
	if err != nil {
		return err
	}
	r.atMost("restart to first assignment", once(first.Sub(q.main.began).Seconds()), "s", 3)
	r.tell("memory after that", held, "MiB")
	return f.wait()
}
