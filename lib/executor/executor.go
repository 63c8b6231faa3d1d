// Package executor runs one attempt of a task on this machine: the task types, the private directory and the clean
// environment of a process, its output and the limit of it, its time limit, and its end with all of its group.
// It is for the rc- commands; its API may change in any release. Begin with New and Executor.Run.
package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Options is what the owner of a device decides about the attempts that run on it.
type Options struct {
	Dir             string   // private directories are made below it; it is the executor's alone
	TasksDir        string   // the folder of custom types, tasks.d; "": none
	Only            []string // types of task that may run; none: all that can
	Slots           int      // how many attempts run at a time while others are lined up behind them; 0: none are
	Limits          Limits
	Sandbox         Sandbox
	OutputLimit     int64                     // bytes kept of what one attempt prints; 0: 8 MiB
	KillGrace       time.Duration             // between asking a process to end and ending it; 0: 10 s
	AllowPrivateNet bool                      // http_request may reach private addresses
	SystemInfo      func(context.Context) any // what system_info answers, as JSON; nil: no such type here
	Log             *slog.Logger              // for what is no attempt's; nil: nobody wants to know
}

// Executor runs attempts. Its methods may be called at the same time.
type Executor struct {
	options Options
	dirs    dirs
	null    *os.File // the standard input of those who are given none
	inherit []string // what attempts inherit of this process's environment
	path    string   // PATH among it
	http    *http.Client
	slots   slots

	confined Confinement

	programs programs
	fences   fences
}

// Attempt is what to run.
type Attempt struct {
	Lease  task.Lease
	Spec   task.Spec
	Device string // this one's name

	Fence      time.Duration // the attempt must be over in this time from now on, see Executor.Fence; 0: no matter when
	FenceGrace time.Duration // for it to end by itself then

	// Lined says that the attempt may wait behind others that are over in a moment, where all slots are taken. If its turn does not come soon, or not
	// before BeginBy, it is not begun, and its result has no status. See Executor.Lines.
	Lined    bool
	BeginBy  time.Duration // by SinceBoot; 0: no matter when
	Progress func(string)  `json:"-"` // called with each line that says how far it has come; may be nil
	Begun    func()        `json:"-"` // called when it is known to have begun, unless it is over soon; may be nil

	Inputs []Input                             `json:"-"` // not for one that is lined up
	Ended  func(left *os.Root, r *task.Result) `json:"-"` // called when a program has ended, before what it has left is removed; may be nil

	fence *fence
	cut   context.CancelCauseFunc // ends it

	admitted *admitted
}

// Admit has a slot kept for an attempt that is not lined up, until it is Run: otherwise others that are Run earlier, though they were to be later, could
// take it.
func (x *Executor) Admit(a *Attempt) { a.admitted = x.slots.admit() }

// Dismiss takes that back, of an attempt that is not Run after all.
func (x *Executor) Dismiss(a *Attempt) { x.slots.dismiss(a.admitted) }

// Sink receives what an attempt prints, each stream in its order. Calls never overlap; data is only valid during
// the call. An attempt that prints waits for its sink.
type Sink func(stream task.Stream, data []byte)

// New returns an executor that works below o.Dir, which it makes where it is missing.
func New(o Options) (*Executor, error) {
	if o.Dir == "" {
		return nil, errors.New("executor: no directory to work in")
	}
	if o.OutputLimit <= 0 {
		o.OutputLimit = 8 << 20
	}
	if o.KillGrace <= 0 {
		o.KillGrace = 10 * time.Second
	}
	x := &Executor{options: o, http: newHTTPClient(o.AllowPrivateNet)}
	if o.Log == nil {
		x.options.Log = slog.New(slog.DiscardHandler)
	}
	if err := x.prepare(); err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	x.inherit, x.path = inherited()
	x.slots.prepare(o.Slots, x.inherit)
	if err := x.confine(); err != nil {
		return nil, fmt.Errorf("executor: try how far attempts can be confined: %w", err)
	}
	return x, nil
}

// prepare makes the folders' names absolute, because attempts run elsewhere, and opens what all attempts share.
func (x *Executor) prepare() (err error) {
	if x.options.Dir, err = filepath.Abs(x.options.Dir); err != nil {
		return err
	}
	if x.options.TasksDir != "" {
		if x.options.TasksDir, err = filepath.Abs(x.options.TasksDir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(x.options.Dir, 0o700); err != nil {
		return err
	}
	x.dirs.base = x.options.Dir
	x.null, err = os.Open(os.DevNull)
	return err
}

// Clean removes everything below Options.Dir: the empty directories that wait for the next attempt, and what an
// executor that was killed has left. On Linux it ends the processes that are still at work there, too. It is to be
// called when no attempt runs, before the first and after the last.
func (x *Executor) Clean() error {
	x.slots.close()
	x.endStrays()
	return x.dirs.clean()
}

// Close gives up what the executor has of the system. No attempt may run any more.
func (x *Executor) Close() error {
	x.slots.release()
	return nil
}

// Run runs an attempt to its end and says how it ended; a program that failed and one that could not be run are both
// results, and only the second kind may lack an exit code. When ctx is cancelled the attempt is killed.
func (x *Executor) Run(ctx context.Context, a Attempt, sink Sink) task.Result {
	start := time.Now()
	defer x.slots.dismiss(a.admitted)
	ctx, a.cut = context.WithCancelCause(ctx)
	x.openFence(&a)
	defer x.closeFence(&a)
	out := newOutput(x.options.OutputLimit, a.Spec.Secrets, sink)
	if a.Spec.Secrets != nil {
		a.Progress = nil // it comes in pieces, of which some are left out: what is secret could not be told
	}
	r := x.run(ctx, a, out)
	out.finish(&r)
	if r.Wall == 0 {
		r.Wall = time.Since(start).Seconds()
	}
	return r
}

func (x *Executor) run(ctx context.Context, a Attempt, out *output) task.Result {
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	if !isProgram(a.Spec.Type) {
		defer stop(a.limit(0))
	}
	if !x.allows(a.Spec.Type) {
		return notRun("tasks of type %s are not allowed on this device", a.Spec.Type)
	}
	switch a.Spec.Type {
	case task.TypeCommand:
		return with(a, func(p *task.Command) task.Result { return x.command(ctx, a, p, out) })
	case task.TypeShell:
		return with(a, func(p *task.Shell) task.Result { return x.shell(ctx, a, p, out) })
	case task.TypePythonEval:
		return with(a, func(p *task.PythonEval) task.Result { return x.python(ctx, a, p, out) })
	case task.TypeEcho:
		return with(a, func(p *task.Echo) task.Result { return echo(p, out) })
	case task.TypeSleep:
		return with(a, func(p *task.Sleep) task.Result { return sleep(ctx, p) })
	case task.TypeHTTP:
		return with(a, func(p *task.HTTP) task.Result { return x.request(ctx, p, out) })
	case task.TypeSystemInfo:
		return x.systemInfo(ctx, out)
	}
	return x.custom(ctx, a, out)
}

// with reads the payload of an attempt and runs it. Whether the payload makes sense was checked at submission.
func with[T any](a Attempt, run func(*T) task.Result) task.Result {
	p := new(T)
	if len(a.Spec.Payload) > 0 {
		if err := json.Unmarshal(a.Spec.Payload, p); err != nil {
			return notRun("payload: %v", err)
		}
	}
	return run(p)
}
