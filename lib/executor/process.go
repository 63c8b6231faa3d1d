package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const killLimit = 30 * time.Second // for a killed process to be gone

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
	files [3]*os.File // standard input, output and error
}

// exit is how a process ended.
type exit struct {
	code   int
	signal string // by which it was killed, as in "9 (killed)"; "": it was not
	cpu    time.Duration
	memory int64 // bytes at the peak; 0: not known
	lost   error // why it is not known how
}

// process runs a program in a private directory.
func (x *Executor) process(ctx context.Context, a Attempt, p program, out *output) task.Result {
	start := time.Now()
	dir, err := x.dirs.take()
	if err != nil {
		return notRun("private directory: %v", err)
	}
	l := launch{path: p.path, argv: p.argv, env: x.environment(a, dir, p.env), dir: dir}
	l.throughShell()
	r := x.runIn(ctx, l, p.stdin, out)
	r.Wall = time.Since(start).Seconds()
	if err := x.dirs.give(dir); err != nil {
		note(&r, "its private directory is left behind: %v", err)
	}
	return r
}

func (x *Executor) runIn(ctx context.Context, l launch, stdin string, out *output) task.Result {
	pipes, err := openPipes(&l, x.null, stdin != "")
	if err != nil {
		return notRun("pipes: %v", err)
	}
	proc, err := start(l)
	pipes.closeTheirs()
	if err != nil {
		pipes.closeOurs()
		return cannotStart(l.argv[0], err)
	}
	pipes.serve(stdin, out)
	r := x.await(ctx, proc)
	pipes.end()
	return r
}

// await waits for a process and its group to end, and sees to it that they do when ctx does.
func (x *Executor) await(ctx context.Context, p *process) task.Result {
	gone := make(chan exit, 1)
	go func() { gone <- p.wait() }() // ends with the process; see killLimit
	select {
	case e := <-gone:
		return e.result()
	case <-ctx.Done():
	}
	select {
	case e := <-gone: // by itself, at the same moment
		return e.result()
	default:
	}
	r := interrupted(ctx)
	e, ok := x.end(p, gone)
	r.Metrics = e.metrics()
	if !ok {
		note(&r, "it was killed but is not gone after %s", span(killLimit))
	}
	return r
}

// end asks a process and its group to end, and then makes them.
func (x *Executor) end(p *process, gone <-chan exit) (e exit, ok bool) {
	p.terminate()
	if e, ok = within(x.options.KillGrace, gone); ok {
		return e, true
	}
	p.kill()
	return within(killLimit, gone)
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

func (e exit) result() task.Result {
	if e.lost != nil {
		return notRun("how it ended is not known: %v", e.lost)
	}
	reason := ""
	switch {
	case e.signal != "":
		reason = "killed by signal " + e.signal
	case e.code != 0:
		reason = fmt.Sprintf("exit status %d", e.code)
	}
	r := ended(e.code, reason)
	r.Metrics = e.metrics()
	return r
}

func (e exit) metrics() task.Metrics {
	return task.Metrics{CPUTime: e.cpu.Seconds(), MemoryPeak: e.memory}
}

// cannotStart is the result of a program that the system did not start.
func cannotStart(name string, err error) task.Result {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ended(exitNotFound, name+": not found")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errNotExecutable):
		return ended(exitNotExecutable, name+": not executable")
	case isNotProgram(err):
		return ended(exitNotExecutable, name+": "+err.Error())
	}
	return notRun("%s: not started: %v", name, err)
}
