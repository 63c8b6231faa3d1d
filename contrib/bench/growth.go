package main

import (
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// most that a task may cost with much of everything, of what it costs with little.
const flat = 1.25

// rowGrowth measures the main node's CPU for a task in a small cluster and in a large one, in turns.
func rowGrowth(r *run) error {
	r.note("cost is CPU of the main node, to the recorded result; without what it uses anyway where devices are compared")
	for _, part := range []func(*run) error{growthDevices, growthQueue, growthClasses} {
		if err := part(r); err != nil {
			return err
		}
		if err := r.again(); err != nil {
			return err
		}
	}
	return nil
}

// compare notes by how much a task costs more.
func (r *run) compare(what string, little, much func() (float64, error)) error {
	a, b, err := r.pairs(little, much)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.atMost(what+": cost a task, much / little", both(b, a, ratio).figure(), "", flat)
	r.tell("— with little", a.figure(), "ms")
	r.tell("— with much", b.figure(), "ms")
	return nil
}

// growthDevices gives ten tasks at a time to clusters of few and of many devices.
func growthDevices(r *run) error {
	most, err := r.manyDevices(r.size(10_000, 200))
	if err != nil {
		return err
	}
	costs := make([]func() (float64, error), 2)
	for i, n := range []int{10, most} {
		m, err := r.mainNode(fmt.Sprintf("main-of-%d", n), nil)
		if err != nil {
			return err
		}
		f, err := r.fleet(m, n, 1)
		if err == nil {
			err = f.connect(atATime)
		}
		if err == nil {
			err = f.open()
		}
		if err != nil {
			return err
		}
		costs[i] = func() (float64, error) { return r.tenAtATime(f, r.size(200, 20)) }
	}
	if err := r.sleep(time.Duration(r.size(5, 1)) * time.Second); err != nil { // until all of that is digested
		return err
	}
	return r.compare(fmt.Sprintf("devices, from 10 to %s", number(float64(most), "")), costs[0], costs[1])
}

// tenAtATime submits ten tasks when the ten before have ended. The milliseconds of CPU are those beyond what the main node uses anyway.
func (r *run) tenAtATime(f *fleet, times int) (float64, error) {
	const ten = 10
	anyway, err := r.cpuWhile(f.main.pid(), time.Duration(r.size(3, 1))*time.Second)
	if err != nil {
		return 0, err
	}
	before, err := cpuOf(f.main.pid())
	if err != nil {
		return 0, err
	}
	specs := make([]task.Spec, ten)
	for i := range specs {
		specs[i] = echo(i)
	}
	began := time.Now()
	for range times {
		f.aimFor(ten)
		if _, err := f.main.client.Submit(r.ctx, specs, client.SubmitOptions{}); err != nil {
			return 0, fmt.Errorf("submit %d tasks: %w", ten, err)
		}
		if err := f.wait(); err != nil {
			return 0, err
		}
	}
	wall := time.Since(began)
	after, err := cpuOf(f.main.pid())
	cpu := milliseconds(after-before) - milliseconds(wall)*anyway.share/100
	return cpu / float64(times*ten), err
}

// growthQueue lets the same devices at a short queue and at a long one.
func growthQueue(r *run) error {
	some := r.size(1_000, 200)
	n := max(r.size(1_000_000, 20_000), r.dispatched(some))
	return r.compareQueues(fmt.Sprintf("queued tasks, from %s to %s", number(float64(some), ""), number(float64(n), "")), some,
		func(name string) (*queueOf, error) { return r.queueOf(name, some, true, echo) },
		func(name string) (*queueOf, error) { return r.queueOf(name, n, false, echo) })
}

// growthClasses lets them at queues of one length, of tasks with few and with many different requirements.
func growthClasses(r *run) error {
	few, many := 10, r.size(10_000, 1_000)
	some := r.size(1_000, 100)
	length := many + r.dispatched(some)
	queue := func(classes int) func(string) (*queueOf, error) {
		return func(name string) (*queueOf, error) {
			return r.queueOf(name, length, false, func(i int) task.Spec {
				t := echo(i)
				t.Requirements.MemoryGB = float64(1+i%classes) * 1e-5 // all fit every device
				return t
			})
		}
	}
	return r.compareQueues(fmt.Sprintf("kinds of requirements, from %d to %s", few, number(float64(many), "")), some, queue(few), queue(many))
}

func (r *run) compareQueues(what string, tasks int, little, much func(name string) (*queueOf, error)) error {
	costs := make([]func() (float64, error), 2)
	for i, start := range []func(string) (*queueOf, error){little, much} {
		q, err := start([]string{"little", "much"}[i])
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		costs[i] = func() (float64, error) {
			c, err := q.rounds(roundsOfDispatch, tasks)
			return milliseconds(c.cpu) / float64(max(c.tasks, 1)), err
		}
	}
	return r.compare(what, costs[0], costs[1])
}
