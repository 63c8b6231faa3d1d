package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const (
	killLimit = 30 * time.Second       // for a killed process to be gone
	forceWait = 250 * time.Millisecond // for it to be gone without being forced; and from one time to the next
)

// program is what to start as a process.
type program struct {
	path  string
	argv  []string
	env   map[string]string // what the task declares
	stdin string
}

// launch is what the system needs to start a process.
type launch struct {
	path  string
	argv  []string
	env   []string
	dir   string
	stdin *os.File // nil: there is nothing to read

	keeps   bool         // what it leaves is looked at before it is removed
	leave   func() error // gives its directory back; nil: it has none yet
	environ func(dir string) []string
	fill    func(dir string) error // gives it its files

	until      time.Duration // when it is to end at the latest, by SinceBoot; 0: never
	untilGrace time.Duration // to end by itself then
	beginBy    time.Duration // when it is not to be begun any more, by SinceBoot; 0: no matter when
	limits     Limits
	progress   func(string) // is told how far it has come; may be nil
	lined      bool         // it may wait behind others
	admitted   *admitted    // nil: it has no slot to itself
}

// running is a program that was started, with all that it has started.
type running interface {
	gone() <-chan exit                // brings how it ended, once
	shown() <-chan view               // brings a look at it, once, if it is not over soon
	end(grace time.Duration)          // asks it to end, and makes it after the grace
	force()                           // makes it, where what should have done so was kept from it
	halt(on bool)                     // has it stand still, or go on
	fence(until, grace time.Duration) // does the same at a time by SinceBoot, unless that is the executor's part
	abandon()                         // gives up waiting for it to be gone
}

// exit is how a process ended.
type exit struct {
	code   int
	signal string // by which it was killed, as in "9 (killed)"; "": it was not
	cpu    time.Duration
	memory int64         // bytes at the peak; 0: not known
	wall   time.Duration // 0: not measured
	stdout string        // what it printed, where it was over before it was shown
	stderr string
	lost   error // why it is not known how

	unstarted error  // why it never ran
	over      excess // the limit that it was ended for; 0: none
	fenced    bool   // its right to run had run out
	unbegun   bool   // its turn did not come
	orphaned  bool   // who ran it was killed
	left      int    // how many of its processes cannot be killed
	dirty     bool   // what it has left in its directory cannot be removed
}

// process runs a program in a private directory.
func (x *Executor) process(ctx context.Context, a Attempt, p program, out *output) task.Result {
	start := time.Now()
	l := launch{path: p.path, argv: p.argv, limits: x.options.Limits.with(a.Spec.Limits), lined: a.Lined, beginBy: a.BeginBy, admitted: a.admitted, progress: a.Progress}
	l.environ = func(dir string) []string { return x.environment(a, dir, p.env) }
	l.fill = func(dir string) error { return x.give(dir, a.Inputs) }
	l.keeps = a.Ended != nil
	l.throughShell()
	r := x.runIn(ctx, &l, p.stdin, &a, out)
	if r.Wall == 0 {
		r.Wall = time.Since(start).Seconds()
	}
	if l.keeps && l.leave != nil && r.ExitCode != nil {
		l.show(a.Ended, &r)
	}
	if err := l.left(); err != nil {
		note(&r, "its private directory is left behind: %v", err)
	}
	return r
}

// settle gives a program its private directory, and its environment, which tells of it.
func (l *launch) settle(dir string, leave func() error) error {
	l.dir, l.leave, l.env = dir, leave, l.environ(dir)
	if l.fill != nil {
		return l.fill(dir)
	}
	return nil
}

// show shows what a program has left.
func (l *launch) show(to func(*os.Root, *task.Result), r *task.Result) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		note(r, "what it has left cannot be looked at: %v", err)
		return
	}
	defer root.Close()
	to(root, r)
}

// left gives the private directory back.
func (l *launch) left() (err error) {
	if l.leave != nil {
		err = l.leave()
		l.leave = nil
	}
	return err
}

func (x *Executor) runIn(ctx context.Context, l *launch, stdin string, a *Attempt, out *output) task.Result {
	c := &carrier{output: out}
	if stdin != "" {
		theirs, ours, err := os.Pipe()
		if err != nil {
			return notRun("pipe: %v", err)
		}
		defer theirs.Close()
		l.stdin = theirs
		c.feed(ours, stdin)
	}
	defer c.end()
	l.until, l.untilGrace = a.fence.now()
	proc, err := x.start(l)
	if err != nil {
		return cannotStart(l.argv[0], err)
	}
	x.tell(a.fence, proc, l.until)
	r := x.await(ctx, l, a, proc, c)
	if c.blind {
		note(&r, "what it printed is lost: this device has too many files open")
	}
	return r
}

// await waits for a process and all of its kind to end, and sees to it that they do when ctx does.
func (x *Executor) await(ctx context.Context, l *launch, a *Attempt, p running, c *carrier) task.Result {
	e, ok := x.follow(ctx, a, p, c)
	if ok && !(e.unbegun && ctx.Err() != nil) {
		return e.result(l.argv[0], &l.limits)
	}
	r := interrupted(ctx)
	if !ok {
		e, ok = x.make(p, c, x.graceOf(ctx))
	}
	r.Metrics, r.Wall = e.metrics(), e.wall.Seconds()
	e.note(&r)
	if !ok {
		p.abandon()
		note(&r, "it was killed but is not gone after %s", span(killLimit))
	}
	return r
}

// follow waits for a process to end by itself while it may run.
func (x *Executor) follow(ctx context.Context, a *Attempt, p running, c *carrier) (e exit, ok bool) {
	var limit *time.Timer
	defer func() { stop(limit) }()
	for ctx.Err() == nil {
		select {
		case e := <-p.gone():
			c.over(p, &e)
			return e, true
		case v := <-p.shown():
			c.see(v)
			limit = a.limit(v.ran)
			if a.Begun != nil {
				a.Begun()
			}
		case <-ctx.Done():
		}
	}
	select {
	case e := <-p.gone(): // by itself, at the same moment
		c.over(p, &e)
		return e, true
	default:
		return exit{}, false
	}
}

// make has a process end.
func (x *Executor) make(p running, c *carrier, grace time.Duration) (e exit, ok bool) {
	p.end(grace)
	wait, begin := time.NewTimer(grace+forceWait), time.Now()
	defer wait.Stop()
	for {
		select {
		case e := <-p.gone():
			c.over(p, &e)
			return e, true
		case v := <-p.shown(): // it may print more than a pipe holds before it ends
			c.see(v)
		case <-wait.C:
			if time.Since(begin) > grace+forceWait+killLimit {
				return exit{}, false
			}
			p.force()
			wait.Reset(forceWait)
		}
	}
}

func (e exit) result(name string, limits *Limits) task.Result {
	switch {
	case e.unstarted != nil:
		return cannotStart(name, e.unstarted)
	case e.unbegun:
		return task.Result{}
	case e.orphaned:
		return lost(reasonKilled)
	case e.lost != nil:
		return notRun("how it ended is not known: %v", e.lost)
	}
	r := e.verdict(limits)
	r.Metrics, r.Wall = e.metrics(), e.wall.Seconds()
	e.note(&r)
	return r
}

func (e exit) verdict(limits *Limits) task.Result {
	if e.fenced {
		return lost(reasonFenced)
	}
	reason := ""
	switch {
	case e.over != 0:
		reason = limits.reason(e.over)
	case e.signal != "":
		reason = "killed by signal " + e.signal
	case e.code != 0:
		reason = fmt.Sprintf("exit status %d", e.code)
	}
	return ended(e.code, reason)
}

// note says in a result what is left of the attempt.
func (e exit) note(r *task.Result) {
	if e.left > 0 {
		note(r, "%d of its processes cannot be killed", e.left)
	}
	if e.dirty {
		note(r, "what it has left in its private directory cannot be removed")
	}
}

func (e exit) metrics() task.Metrics {
	return task.Metrics{CPUTime: e.cpu.Seconds(), MemoryPeak: e.memory}
}

// errNoSlot says that what starts programs could not be started itself.
var errNoSlot = errors.New("no slot helper")

// errNoDir says that an attempt has no directory of its own.
var errNoDir = errors.New("private directory")

// errNoLine says that there is nothing behind which an attempt could wait for a moment only.
var errNoLine = errors.New("no line to wait in")

// cannotStart is the result of a program that the system did not start.
func cannotStart(name string, err error) task.Result {
	switch {
	case errors.Is(err, errNoLine):
		return task.Result{}
	case errors.Is(err, errNoSlot), isNoRoom(err), (errors.Is(err, errNoInput) || errors.Is(err, errNoDir)) && errors.Is(err, syscall.ENOSPC): // it was not begun, and may be elsewhere
		return task.Result{Status: task.AttemptReleased, Reason: err.Error()}
	case errors.Is(err, errNoInput), errors.Is(err, errNoDir):
		return notRun("%v", err)
	case errors.Is(err, fs.ErrNotExist):
		return ended(exitNotFound, name+": not found")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errNotExecutable):
		return ended(exitNotExecutable, name+": not executable")
	case isNotProgram(err):
		return ended(exitNotExecutable, name+": "+err.Error())
	}
	return notRun("%s: not started: %v", name, err)
}
