package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/executor"
	"github.com/retire-cluster/retire-cluster/lib/profile"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Options are how a worker is run.
type Options struct {
	Dir             string // its data directory
	JoinCode        string // to join a cluster with; not needed where it has joined, or where the main node is on this host
	Discovery       string // where main nodes are looked for on the network; empty: nowhere
	MainData        string // data directory of a main node on this host; empty: where it usually is
	Name            string // to join under; empty: the device's own
	Slots           int    // attempts at once
	Role            string
	Tags            []string
	Tools           []string // programs to look for, beside the usual ones
	Wake            bool     // the main node may wake this device
	MACs            []string // by which, beside those that are found
	OutputLimit     int64    // bytes kept of an attempt's output
	KillGrace       time.Duration
	AllowPrivateNet bool
	Limits          executor.Limits
	CacheSize       int64    // bytes of files that are kept for tasks to come
	Bandwidth       int64    // bytes a second for files; 0: any
	AllowWrite      []string // files and directories that tasks may change beside their own
	Types           []string // of task that may run here; none: all that can
	TaskUser        int      // whom tasks run as where this process is root; 0: as this one
	TaskGroup       int
	Manners         Manners
	Roots           profile.Roots // of the system; empty: where they are
	Software        string        // "rc-workerd 0.1.0"
	Env             func(string) (string, bool)
	Log             *slog.Logger
	Beat            func() // called at least every second while the loop is alive; may be nil
	Ready           func() // called when it begins to work, whether the main node is there or not; may be nil
}

// Worker is a device at work.
type Worker struct {
	o       Options
	home    *home
	exec    *executor.Executor
	monitor *profile.Monitor
	spool   *spool
	core    *Core
	in      chan any
	ctx     context.Context // of Run
	running sync.WaitGroup
	kills   map[task.Lease]context.CancelCauseFunc

	link    *link // nil: none
	courier *courier
	sought  struct {
		sync.Mutex
		last time.Time // that it was looked for on the network
	}
	profile    atomic.Pointer[device.Profile] // replaced, never changed
	registered *device.Profile                // what this connection's main node was told
	guest      guest
	zone       *time.Location // of the device
	looked     time.Duration  // when that looked around, by executor.SinceBoot
	full       string         // that the disk is full
	pressed    Pressed        // as the core was told
	life       string         // of this process, random
	types      chan struct{}  // tasks.d changed

	facts    profile.Options
	found    chan fact
	finding  bool
	versions bool          // are known, or being found out
	power    string        // state in which the speed is known, or being measured
	slept    time.Duration // since the device was started
	quiet    time.Time     // since when nothing was to be done
	helloNow chan helloAsk
}

// helloAsk asks the loop for what the core holds, to say hello with.
type helloAsk struct{ answer chan []wire.Held }

// Open makes a worker ready. It joins a cluster where it has not yet. Errors are those of the data directory, of the join code, and of the main
// node.
func Open(ctx context.Context, o Options) (*Worker, error) {
	w := &Worker{o: o, life: rand.Text(), in: make(chan any, 256), kills: map[task.Lease]context.CancelCauseFunc{}, types: make(chan struct{}, 1), found: make(chan fact), helloNow: make(chan helloAsk)}
	if w.o.Beat == nil {
		w.o.Beat = func() {}
	}
	if w.o.Ready == nil {
		w.o.Ready = func() {}
	}
	var err error
	if w.home, err = openHome(o.Dir); err != nil {
		return nil, err
	}
	if err := w.home.letIn(o.TaskUser); err != nil {
		return nil, fmt.Errorf("let tasks into the data directory: %w", err)
	}
	w.guest.Manners = o.Manners
	w.slept = executor.Slept()
	facts := profile.Options{Roots: o.Roots, WorkDir: w.home.path(dirAttempts), Name: o.Name, Role: o.Role, Tags: o.Tags, Tools: o.Tools}
	if !w.home.joined() {
		if _, err := w.join(ctx, facts); err != nil {
			return nil, err
		}
	}
	w.facts = facts
	p := profile.Read(ctx, facts)
	p.Slots, p.Version, p.Wake, p.Provision, p.Secrets = o.Slots, o.Software, o.Wake, true, true
	if len(o.MACs) > 0 {
		p.Hardware.MACs = o.MACs
	}
	w.monitor, w.zone = profile.NewMonitor(facts), profile.Zone(ctx, facts)
	w.exec, err = executor.New(executor.Options{Dir: w.home.path(dirAttempts), TasksDir: w.TypesDir(), Slots: o.Slots, Limits: o.Limits, Sandbox: w.home.sandbox(&o), Only: o.Types, OutputLimit: o.OutputLimit, KillGrace: o.KillGrace,
		AllowPrivateNet: o.AllowPrivateNet, SystemInfo: w.systemInfo, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if err := w.exec.Clean(); err != nil {
		return nil, fmt.Errorf("remove what earlier attempts left: %w", err)
	}
	confined := w.exec.Confined()
	p.Sandbox, p.SandboxGaps = confined.Level, confined.Gaps
	p.TaskTypes = w.exec.Types()
	w.profile.Store(&p)
	if w.courier, err = newCourier(w.home.path(dirCache), o.CacheSize, o.Bandwidth, w.dialFiles); err != nil {
		return nil, err
	}
	return w, w.openCore()
}

func (w *Worker) openCore() error {
	s, kept, err := openSpool(w.home.path(fileSpool))
	if err != nil {
		return err
	}
	w.spool = s
	w.core = NewCore(w.o.Slots, kept)
	w.core.LineUp(w.exec.Lines)
	w.core.GiveBackAfter(w.o.Manners.GiveBackAfter)
	w.core.StandStill(executor.StandsStill)
	return nil
}

// TypesDir is the folder whose executable files are task types.
func (w *Worker) TypesDir() string { return w.home.path(dirTypes) }

// DeviceID is the name under which the device has joined.
func (w *Worker) DeviceID() string { return w.home.member.DeviceID }

// TypesChanged says that the folder of task types changed.
func (w *Worker) TypesChanged() {
	select {
	case w.types <- struct{}{}:
	default:
	}
}

// systemInfo is what the task type system_info answers.
func (w *Worker) systemInfo(ctx context.Context) any {
	return struct {
		*device.Profile
		Metrics device.Metrics `json:"system_metrics"`
	}{w.profile.Load(), w.monitor.Metrics(ctx)}
}

// Run works until drain is done (it finishes what runs) or kill (it ends what runs), and has nothing left to say. The error is that of a main node
// that will not have this device.
func (w *Worker) Run(drain, kill context.Context) error {
	defer w.home.lock.Close()
	defer func() { w.spool.close() }()
	boot, err := w.home.booted(0)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(drain))
	defer cancel()
	w.ctx = ctx
	var connecting sync.WaitGroup
	w.o.Ready()
	refused := make(chan error, 1)
	connecting.Go(func() { w.connect(ctx, boot, refused) })
	err = w.loop(drain, kill, refused)
	cancel()
	for _, kill := range w.kills {
		kill(errors.New("the worker ends"))
	}
	if w.link != nil {
		w.link.goodbye()
	}
	done := make(chan struct{})
	go func() { connecting.Wait(); w.running.Wait(); close(done) }()
	for {
		select {
		case <-w.in: // nobody decides any longer
		case <-done:
			w.courier.close()
			return errors.Join(err, w.exec.Clean(), w.exec.Close())
		}
	}
}

// loop runs the core.
func (w *Worker) loop(drainCtx, kill context.Context, refused <-chan error) error {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	drained, killed := drainCtx.Done(), kill.Done()
	for {
		due.Reset(w.core.Next().Sub(clock()))
		var in any
		hellos := w.helloNow
		if w.link != nil {
			hellos = nil // what the last connection brought comes first: hello lists all that was taken
		}
		select {
		case in = <-w.in:
		case <-due.C:
			in = Timer{}
		case <-beat.C:
			w.o.Beat()
			if w.mind() {
				return nil
			}
			continue
		case <-drained:
			w.o.Log.Info("stopping; running tasks are finished first, another signal gives them back", "running", len(w.kills))
			in, drained = Drain{}, nil
		case <-killed:
			in, killed = Stop{}, nil
		case h := <-hellos:
			h.answer <- w.core.Held()
			continue
		case <-w.types:
			p := *w.profile.Load()
			p.TaskTypes = w.exec.Types()
			w.profile.Store(&p)
			w.register()
			continue
		case f := <-w.found:
			w.finding = false
			p := *w.profile.Load()
			f(&p)
			w.profile.Store(&p)
			w.register()
			continue
		case err := <-refused:
			return err
		}
		if w.take(in) {
			return nil
		}
	}
}

// take gives one input to the core and does what it wants.
func (w *Worker) take(in any) (leave bool) {
	switch in := in.(type) {
	case *link:
		w.link, w.registered = in, nil
		w.register()
		return w.act(w.core.Step(clock(), Welcomed{in.welcome, in.asked}))
	case gone:
		if in.link != w.link {
			return false
		}
		w.link = nil
		return w.act(w.core.Step(clock(), Disconnected{}))
	case fromLink:
		if in.link != w.link {
			return false // of a connection that was given up
		}
		return w.act(w.core.Step(clock(), in.input))
	case Ended:
		delete(w.kills, in.Lease)
	case Unbegun:
		delete(w.kills, in.Lease)
	}
	return w.act(w.core.Step(clock(), in))
}

// Inputs of the loop that belong to a connection: one that was given up has no say.
type (
	gone     struct{ link *link }
	fromLink struct {
		link  *link
		input any
	}
)

// act does what the core wants, in order: a result is in the spool before it is sent.
func (w *Worker) act(effects []Effect) (leave bool) {
	for _, e := range effects {
		switch e := e.(type) {
		case SendMessage:
			w.flushSpool()
			w.put(e.Message, e.Output)
		case SendHeartbeat:
			e.Metrics, e.Slept = w.monitor.Metrics(context.Background()), executor.Slept().Seconds()
			w.put(wire.Message{Type: wire.TypeHeartbeat, ID: HeartbeatID, Body: e.Heartbeat}, 0)
			w.full = w.diskFull(&e.Metrics)
			leave = w.press() || leave
		case StartAttempt:
			w.start(e)
		case Fence:
			w.exec.Fence(e.Lease, leftUntil(e.Until), e.Grace)
		case KillAttempt:
			if kill := w.kills[e.Lease]; kill != nil {
				kill(errors.New(e.Reason))
			}
		case SpoolResult:
			w.logSpool("a result is kept in memory only", w.spool.add(e.Spooled))
		case SpoolJudged:
			w.logSpool("a result that was judged stays in the spool", w.spool.judged(e.Lease))
		case HaltAll:
			w.exec.Halt(e.On)
		case ParkResult:
			w.park(e.Spooled)
		case Quit:
			leave = true
		}
	}
	w.flushSpool()
	return leave
}

// flushSpool writes the results that were added to the spool, which have to be there before they are sent.
func (w *Worker) flushSpool() {
	if w.spool != nil {
		w.logSpool("results are kept in memory only", w.spool.flush())
	}
}

// park keeps a result that the main node does not know.
func (w *Worker) park(k Spooled) {
	log := w.o.Log.With("task", k.Lease.Task.String(), "attempt", k.Lease.Attempt)
	if path, err := w.home.park(k); err != nil {
		log.Error("the main node does not know this attempt, and its result is lost", "err", err)
	} else {
		log.Warn("the main node does not know this attempt; its result is kept here", "file", path)
	}
}

// leastDisk is how much must be free for a task to be taken, or a twentieth of the disk where that is less.
const leastDisk = 64 << 20

// diskFull says that the disk is too full to take a task; empty: it is not.
func (w *Worker) diskFull(m *device.Metrics) string {
	if least := min(leastDisk, w.profile.Load().Hardware.Disk/20); m.DiskFree != nil && *m.DiskFree < least {
		w.courier.kept.Trim(0) // files for tasks to come make room for tasks
		return fmt.Sprintf("its disk is full: less than %d MiB are free", least>>20)
	}
	return ""
}

const (
	mindEvery  = 10 * time.Second
	sleepLeast = time.Second
)

// mind looks now and then whether the device may work.
func (w *Worker) mind() (leave bool) {
	if slept := executor.Slept(); slept > w.slept+sleepLeast {
		w.o.Log.Info("the device was asleep; what ran goes on", "for", (slept - w.slept).Round(time.Second).String())
		w.slept = slept
	}
	now := executor.SinceBoot()
	if w.looked != 0 && now-w.looked < mindEvery {
		return false
	}
	w.looked = now
	return w.press()
}

// press tells the core when the device may not work, and when it may again.
func (w *Worker) press() (leave bool) {
	l := look{Metrics: w.monitor.Strain(context.Background()), now: time.Now().In(w.zone), since: executor.SinceBoot(), busy: w.core.Busy(), usual: w.core.Usual()}
	w.find(w.ctx, l.busy, l.Charging == nil || *l.Charging)
	p := w.guest.look(&l)
	if p.Reason == "" {
		p.Reason = w.full
	}
	if p == w.pressed {
		return false
	}
	if (p.Reason == "") != (w.pressed.Reason == "") || p.Halt != w.pressed.Halt { // not each degree
		w.o.Log.Info("the device "+map[bool]string{true: "works again", false: "takes no tasks"}[p.Reason == ""], "reason", p.Reason, "tasks_stand_still", p.Halt)
	}
	w.pressed = p
	return w.take(p)
}

// logSpool says what it means that the spool could not be written.
func (w *Worker) logSpool(means string, err error) {
	if err != nil {
		w.o.Log.Error(means, "err", err)
	}
}

func (w *Worker) put(m wire.Message, output int64) {
	if w.link != nil {
		m.Sender = w.DeviceID()
		w.link.put(m, output)
	}
}

// register tells the main node this device's profile, where that is new to it.
func (w *Worker) register() {
	if p := w.profile.Load(); w.link != nil && !reflect.DeepEqual(p, w.registered) {
		w.registered = p
		w.put(wire.Message{Type: wire.TypeRegister, ID: "register", Body: p}, 0)
	}
}

// start runs an attempt in a goroutine of its own.
func (w *Worker) start(s StartAttempt) {
	ctx, kill := context.WithCancelCause(context.Background())
	lease, began := s.Lease, time.Now()
	w.kills[lease] = kill
	a := executor.Attempt{Lease: lease, Spec: s.Spec, Device: w.DeviceID(), Fence: leftUntil(s.Until), FenceGrace: s.Grace,
		Progress: func(text string) { w.in <- Progressed{lease, executor.Hide(s.Spec.Secrets, text)} }}
	if s.Lined {
		a.Lined, a.BeginBy, a.Begun = true, executor.SinceBoot()+leftUntil(s.BeginBy), func() { w.in <- Begun{lease} }
	} else {
		w.exec.Admit(&a)
	}
	log := w.o.Log.With("task", lease.Task.String(), "attempt", lease.Attempt)
	log.Debug("started", "type", s.Spec.Type, "lined", s.Lined)
	w.running.Go(func() {
		defer kill(nil)
		r := w.run(ctx, &a, func(s task.Stream, data []byte) {
			w.in <- Printed{lease, s, time.Since(began), append([]byte(nil), data...)}
		})
		if r.Status == "" {
			w.in <- Unbegun{lease}
			return
		}
		r.Reason = executor.Hide(a.Spec.Secrets, r.Reason)
		for i := range r.Files {
			r.Files[i].Name = executor.Hide(a.Spec.Secrets, r.Files[i].Name)
		}
		log.Debug("ended", "status", r.Status, "reason", r.Reason)
		w.in <- Ended{lease, r}
	})
}

// leftUntil is how long it is until then, below 0 if it was; 0 if there is no such time.
func leftUntil(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return cmp.Or(t.Sub(clock()), -1)
}
