package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	files [3]handle // standard input, output and error

	grace      time.Duration // to end by itself, where it is to
	until      time.Duration // when that is at the latest, by SinceBoot; 0: never
	untilGrace time.Duration
}

// running is a program that was started, with all that it has started.
type running interface {
	gone() <-chan exit                // brings how it ended, once
	end(grace time.Duration)          // asks it to end, and makes it after the grace
	force()                           // makes it, where what should have done so was kept from it
	fence(until, grace time.Duration) // does the same at a time by SinceBoot, unless that is the executor's part
	abandon()                         // gives up waiting for it to be gone
}

// exit is how a process ended.
type exit struct {
	code   int
	signal string // by which it was killed, as in "9 (killed)"; "": it was not
	cpu    time.Duration
	memory int64 // bytes at the peak; 0: not known
	lost   error // why it is not known how

	unstarted error // why it never ran
	fenced    bool  // its right to run had run out
	orphaned  bool  // who ran it was killed
	left      int   // how many of its processes cannot be killed
}

// process runs a program in a private directory.
func (x *Executor) process(ctx context.Context, a Attempt, p program, out *output) task.Result {
	start := time.Now()
	dir, err := x.dirs.take()
	if err != nil {
		return notRun("private directory: %v", err)
	}
	l := launch{path: p.path, argv: p.argv, env: x.environment(a, dir.path, p.env), dir: dir.path, grace: x.options.KillGrace}
	l.throughShell()
	r := x.runIn(ctx, l, p.stdin, a.fence, out)
	r.Wall = time.Since(start).Seconds()
	if err := x.dirs.give(dir); err != nil {
		note(&r, "its private directory is left behind: %v", err)
	}
	return r
}

func (x *Executor) runIn(ctx context.Context, l launch, stdin string, f *fence, out *output) task.Result {
	pipes, err := openPipes(&l, x.null, stdin != "")
	if err != nil {
		return notRun("pipes: %v", err)
	}
	l.until, l.untilGrace = f.now()
	proc, err := x.start(l)
	pipes.closeTheirs()
	if err != nil {
		pipes.close()
		return cannotStart(l.argv[0], err)
	}
	f.tell(proc, l.until)
	pipes.begin(stdin, out)
	r := x.await(ctx, l.argv[0], proc, func() { pipes.pump(out) })
	pipes.end(out)
	return r
}

// await waits for a process and all of its kind to end, and sees to it that they do when ctx does.
// After a moment it calls late.
func (x *Executor) await(ctx context.Context, name string, p running, late func()) task.Result {
	soon := time.NewTimer(pumpAfter)
	defer soon.Stop()
	for ctx.Err() == nil {
		select {
		case e := <-p.gone():
			return e.result(name)
		case <-soon.C:
			late()
		case <-ctx.Done():
		}
	}
	select {
	case e := <-p.gone(): // by itself, at the same moment
		return e.result(name)
	default:
	}
	r := interrupted(ctx)
	grace := x.graceOf(ctx)
	late() // it may print more than a pipe holds before it ends
	p.end(grace)
	e, ok := within(grace+forceWait, p.gone())
	for begin := time.Now(); !ok && time.Since(begin) < killLimit; {
		p.force()
		e, ok = within(forceWait, p.gone())
	}
	r.Metrics = e.metrics()
	e.note(&r)
	if !ok {
		p.abandon()
		note(&r, "it was killed but is not gone after %s", span(killLimit))
	}
	return r
}

func within(d time.Duration, gone <-chan exit) (e exit, ok bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case e = <-gone:
		return e, true
	case <-t.C:
		return exit{}, false
	}
}

func (e exit) result(name string) task.Result {
	switch {
	case e.unstarted != nil:
		return cannotStart(name, e.unstarted)
	case e.orphaned:
		return lost(reasonKilled)
	case e.lost != nil:
		return notRun("how it ended is not known: %v", e.lost)
	}
	r := e.verdict()
	r.Metrics = e.metrics()
	e.note(&r)
	return r
}

func (e exit) verdict() task.Result {
	if e.fenced {
		return lost(reasonFenced)
	}
	reason := ""
	switch {
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
}

func (e exit) metrics() task.Metrics {
	return task.Metrics{CPUTime: e.cpu.Seconds(), MemoryPeak: e.memory}
}

// errNoSlot says that what starts programs could not be started itself.
var errNoSlot = errors.New("no slot helper")

// cannotStart is the result of a program that the system did not start.
func cannotStart(name string, err error) task.Result {
	switch {
	case errors.Is(err, errNoSlot), isNoRoom(err): // it was not begun, and may be elsewhere
		return task.Result{Status: task.AttemptReleased, Reason: err.Error()}
	case errors.Is(err, fs.ErrNotExist):
		return ended(exitNotFound, name+": not found")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errNotExecutable):
		return ended(exitNotExecutable, name+": not executable")
	case isNotProgram(err):
		return ended(exitNotExecutable, name+": "+err.Error())
	}
	return notRun("%s: not started: %v", name, err)
}
