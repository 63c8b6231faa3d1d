package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// fleet is simulated devices of one main node. Between tasks their gates are closed, so that it is known when the work begins.
type fleet struct {
	r       *run
	main    *mainNode
	profile device.Profile
	devices []*simulated
	beats   bool // they send heartbeats
	once    bool // a connection that ends is an error, not a reason to connect again

	assigned atomic.Int64
	recorded atomic.Int64 // results that the main node has recorded
	shuts    atomic.Int64 // heartbeats that closed a gate and were answered
	refused  atomic.Int64 // connections that came to nothing
	goal     atomic.Int64 // of recorded
	reached  chan struct{}
	first    chan time.Time // when a first task was assigned
	broken   chan error

	cancel context.CancelFunc // of the connections
	group  sync.WaitGroup
}

// perAddress is how many devices come from one address, which has some 28,000 ports to connect from, of which each connection that is gone keeps one for a
// minute.
const perAddress = 1000

// fleet makes n devices with so many slots each and has them join. Call connect.
func (r *run) fleet(m *mainNode, n, slots int) (*fleet, error) {
	f := &fleet{r: r, main: m, once: true, reached: make(chan struct{}, 1), first: make(chan time.Time, 1), broken: make(chan error, 1), profile: device.Profile{
		Info:     device.Info{Hostname: "simulated", Platform: "linux", Architecture: "aarch64", Role: "board", OS: "Debian GNU/Linux 12", Model: "Raspberry Pi 4 Model B"},
		Hardware: device.Hardware{CPUCores: 4, Memory: 4e9, Disk: 31e9, Interfaces: []string{"eth0"}}, Capabilities: []string{"computational"},
		TaskTypes: []string{task.TypeCommand, task.TypeEcho, task.TypeShell, task.TypeSleep}, Slots: slots, Version: "bench"}}
	for i := range n {
		identity, err := wire.NewIdentity("worker")
		if err != nil {
			return nil, err
		}
		source := net.IPv4(127, 0, 0, byte(2+i/perAddress))
		f.devices = append(f.devices, &simulated{fleet: f, name: fmt.Sprintf("device-%d", i+1), identity: identity, source: source, life: rand.Text(), status: device.Paused})
	}
	r.atEnd(f.hangUp)
	return f, f.join()
}

// atATime is how many devices connect at the same time where nothing else is measured: the main node lets 1,024 strangers in.
const atATime = 64

func (f *fleet) join() error {
	for i := 0; i < len(f.devices); i += perAddress {
		if err := f.devices[i].introduce(f.r.ctx); err != nil {
			return err
		}
	}
	return f.eachDevice(atATime, func(d *simulated) error { return d.join(f.r.ctx) })
}

// eachDevice calls do for every device, some at a time, and returns the first error.
func (f *fleet) eachDevice(atATime int, do func(*simulated) error) error {
	room := make(chan struct{}, atATime)
	errs := make(chan error, len(f.devices))
	for _, d := range f.devices {
		room <- struct{}{}
		go func() {
			err := do(d)
			<-room
			errs <- err
		}()
	}
	var first error
	for range f.devices {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// connect connects all devices, so many at a time, and returns when the main node knows what each can do.
func (f *fleet) connect(atATime int) error {
	ctx, cancel := context.WithCancel(f.r.ctx)
	f.cancel = cancel
	return f.eachDevice(atATime, func(d *simulated) error {
		there := make(chan struct{})
		var first sync.Once
		ended := make(chan error, 1)
		f.group.Go(func() {
			err := d.run(ctx, func() { first.Do(func() { close(there) }) })
			ended <- err
			if err != nil {
				f.fail(err)
			}
		})
		select {
		case <-there:
			return nil
		case err := <-ended:
			return fmt.Errorf("connect %s: %w", d.name, cmp.Or(err, ctx.Err()))
		}
	})
}

func (f *fleet) fail(err error) {
	select {
	case f.broken <- err:
	default:
	}
}

// hangUp ends all connections without a word.
func (f *fleet) hangUp() {
	if f.cancel != nil {
		f.cancel()
	}
	f.group.Wait()
}

// judged takes the main node's word on a result.
func (f *fleet) judged(m *wire.Message) error {
	var j wire.Judged
	if err := m.Decode(&j); err != nil {
		return err
	}
	if j.Verdict != wire.Recorded {
		return fmt.Errorf("the result of %s, attempt %d was judged %q", j.Task, j.Attempt, j.Verdict)
	}
	if f.recorded.Add(1) == f.goal.Load() {
		f.reached <- struct{}{}
	}
	return nil
}

// aimFor says how many more results are waited for by wait.
func (f *fleet) aimFor(more int) { f.goal.Store(f.recorded.Load() + int64(more)) }

func (f *fleet) wait() error {
	select {
	case <-f.reached:
		return nil
	case err := <-f.broken:
		return err
	case <-f.r.ctx.Done():
		return fmt.Errorf("wait for results of simulated devices: %d of %d: %w", f.recorded.Load(), f.goal.Load(), f.r.ctx.Err())
	}
}

// open lets the devices take tasks.
func (f *fleet) open() error {
	return f.eachDevice(len(f.devices), func(d *simulated) error { return d.set(device.Online) })
}

// shut lets them take no more, and returns when everything that they had taken is recorded.
func (f *fleet) shut() error {
	answered := f.shuts.Load() + int64(len(f.devices))
	if err := f.eachDevice(len(f.devices), func(d *simulated) error { return d.set(device.Paused) }); err != nil {
		return err
	}
	return f.r.until("the simulated devices to have nothing left", func() bool {
		return f.shuts.Load() == answered && f.recorded.Load() == f.assigned.Load()
	})
}

// cost is what it took to have tasks done.
type cost struct {
	tasks int
	wall  time.Duration
	cpu   time.Duration // of the main node
}

func (c cost) rate() float64 { return float64(c.tasks) / c.wall.Seconds() }

// drain has n tasks of the queue done.
func (f *fleet) drain(n int) (c cost, err error) {
	before, err := cpuOf(f.main.pid())
	if err != nil {
		return c, err
	}
	recorded := f.recorded.Load()
	f.aimFor(n)
	began := time.Now()
	if err := f.open(); err != nil {
		return c, err
	}
	if err := f.wait(); err != nil {
		return c, err
	}
	c.wall = time.Since(began)
	if err := f.shut(); err != nil {
		return c, err
	}
	after, err := cpuOf(f.main.pid())
	done := f.recorded.Load() - recorded
	c.tasks, c.cpu = n, (after-before)*time.Duration(n)/time.Duration(done) // those that were under way when n was reached count for both
	return c, err
}

// spareFiles is how many open files a process needs beside one for each device.
const spareFiles = 500

// manyDevices is how many of n devices this host's limit of open files allows.
func (r *run) manyDevices(n int) (int, error) {
	var l syscall.Rlimit // Go has raised it as far as it may be, for this process and for the main node
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if most := int(min(l.Max, 1<<30)) - spareFiles; most < n {
		r.note("%d devices, not %d: the limit of open files is %d", most, n, l.Max)
		return most, nil
	}
	return n, nil
}
