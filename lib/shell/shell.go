// Package shell runs lines of the toolkit's own commands in this process: pipes, quoting, variables and loops as in a shell, rc-status, rc-submit, rc-logs,
// rc-ctl and filters as its only programs. It starts no process, opens no file and reads no variable of its host, so that whoever may type into a browser gets
// no further than the token that they act with. It is for rc-web; its API may change in any release. Begin with Shell.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/metrics"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// Shell is what one user may run.
type Shell struct {
	// Open makes a client that acts with the user's rights. retrying may be nil.
	Open func(software string, retrying func(error)) (*client.Client, error)
	// Format is in which commands print things where a line does not say; empty: as always.
	Format text.Format
	// Env are the variables that lines begin with, such as NO_COLOR=1.
	Env []string
}

// Bounds of what a line may cost.
const (
	mostHeap  = 256 << 20 // bytes that this process may hold while lines run
	lookEvery = 20 * time.Millisecond
)

// The statuses of a line that could not be run, as shells have them.
const (
	StatusUsage     = 2   // it is not written right
	StatusForbidden = 126 // it is not for here
	StatusUnknown   = 127 // there is no such command
)

// errTooMuch ends a line that wants more memory than there is.
var errTooMuch = errors.New("the line took more memory than there is for all lines")

// Run runs a line and gives its exit status. Errors of its own are on std.Err.
func (s *Shell) Run(ctx context.Context, line string, std cli.Std) (status int) {
	std = std.OrEmpty()
	defer func() {
		if r := recover(); r != nil { // of the interpreter: a mistake in it is not to end everybody's lines
			fmt.Fprintln(std.Err, "shell: the line cannot be run")
			status = cli.Internal
		}
	}()
	file, err := parse(line)
	if err != nil {
		fmt.Fprintln(std.Err, "shell:", err)
		return StatusUsage
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go watchHeap(ctx, cancel)
	return s.run(ctx, file, std)
}

func (s *Shell) run(ctx context.Context, file *syntax.File, std cli.Std) int {
	runner, err := interp.New(
		interp.Env(expand.ListEnviron(append([]string{"HOME=/", "PWD=/", "IFS= \t\n"}, s.Env...)...)),
		interp.Dir("/"),
		interp.StdIO(std.In, std.Out, std.Err),
		interp.CallHandler(call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, args []string) error { return s.exec(ctx, args, std) }
		}),
		interp.OpenHandler(open),
		interp.StatHandler(func(context.Context, string, bool) (fs.FileInfo, error) { return nil, fs.ErrNotExist }),
		interp.ReadDirHandler2(func(context.Context, string) ([]fs.DirEntry, error) { return nil, nil }),
		interp.AccessHandler(func(context.Context, string, interp.AccessMode) error { return fs.ErrNotExist }),
	)
	if err != nil {
		fmt.Fprintln(std.Err, "shell:", err)
		return cli.Internal
	}
	err = runner.Run(ctx, file)
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(status)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(context.Cause(ctx), errTooMuch):
		fmt.Fprintln(std.Err, "shell:", errTooMuch)
		return cli.TryAgain
	case ctx.Err() != nil:
		return 128 + 2 // as by SIGINT
	}
	fmt.Fprintln(std.Err, "shell:", err)
	return cli.Failed
}

// builtins are the words of the shell itself that reach no file and no process.
var builtins = map[string]bool{":": true, "true": true, "false": true, "exit": true, "shift": true, "unset": true, "echo": true, "printf": true,
	"break": true, "continue": true, "[": true, "test": true, "read": true, "return": true, "getopts": true}

// call looks at a command before the shell does: its own words that are not for here become unknown ones.
func call(_ context.Context, args []string) ([]string, error) {
	switch name := args[0]; {
	case name == "printf" && len(args) > 1 && wide(args[1]):
		return []string{forbidden, "printf with so wide a field"}, nil
	case builtins[name] || !interp.IsBuiltin(name):
		return args, nil
	case name == "help":
		return append([]string{helpName}, args[1:]...), nil
	case programs[name] != nil || filters[name] != nil:
		return args, nil
	}
	return []string{forbidden, args[0]}, nil
}

// forbidden stands in the place of a command that is not for here.
const forbidden = "\x00forbidden"

// wide says whether a format of printf asks for a field of more than five digits.
func wide(format string) bool {
	digits := 0
	for _, c := range format {
		if c >= '0' && c <= '9' || c == '*' {
			if digits++; digits > 5 || c == '*' {
				return true
			}
		} else {
			digits = 0
		}
	}
	return false
}

// exec runs a program of the toolkit or a filter.
func (s *Shell) exec(ctx context.Context, args []string, std cli.Std) (err error) {
	defer func() {
		if r := recover(); r != nil { // in a goroutine of the interpreter's, where nobody else would
			fmt.Fprintf(interp.HandlerCtx(ctx).Stderr, "%.40s: it cannot be run so\n", args[0])
			err = interp.ExitStatus(cli.Internal)
		}
	}()
	here := interp.HandlerCtx(ctx)
	own := cli.Std{In: here.Stdin, Out: here.Stdout, Err: here.Stderr}
	if own.Out == std.Out { // and not a pipe
		own.Width = std.Width
	}
	if own.Err == std.Err {
		own.ErrWidth = std.ErrWidth
	}
	args = inWords(args)
	var status int
	switch name := args[0]; {
	case name == forbidden:
		fmt.Fprintf(own.Err, "shell: %s is not for here: this shell has the toolkit's commands and filters, and no files; see help\n", args[1])
		status = StatusForbidden
	case programs[name] != nil:
		status = s.program(ctx, args, own, here.Env)
	case filters[name] != nil:
		status = filter(ctx, args, own)
	default:
		fmt.Fprintf(own.Err, "shell: %.80q: no such command; see help\n", name)
		status = StatusUnknown
	}
	if status == 0 {
		return nil
	}
	return interp.ExitStatus(status)
}

// open gives the one file that there is.
func open(_ context.Context, path string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
	if path == os.DevNull || path == "/dev/null" {
		return nothing{}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("there are no files here: pipe it")}
}

// nothing is /dev/null.
type nothing struct{}

func (nothing) Read([]byte) (int, error)    { return 0, io.EOF }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) Close() error                { return nil }

// watchHeap ends lines that take too much memory: loops may double a variable as often as they like.
func watchHeap(ctx context.Context, cancel context.CancelCauseFunc) {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if metrics.Read(heap); heap[0].Value.Uint64() > mostHeap {
				cancel(errTooMuch)
				return
			}
		}
	}
}
