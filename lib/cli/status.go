package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// The exit statuses of the commands; those from 64 on are sysexits(3)'s.
const (
	OK           = 0
	Failed       = 1  // no, or a failure of no other kind
	Usage        = 64 // wrong flags or arguments
	BadInput     = 65 // wrong data in a file or on standard input
	Unavailable  = 69 // the other side cannot be reached
	Internal     = 70 // a bug
	TryAgain     = 75 // may succeed later
	NotPermitted = 77
	BadConfig    = 78
)

// ExitError is an error with the exit status it shall end the command with.
// Any other error may have a status too, by a method ExitStatus() int, and a line of advice, by a method Hint() string.
type ExitError struct {
	Status int
	Err    error // may be nil: then nothing is printed
	Quiet  bool  // print nothing
}

// Exit gives err, which may be nil, an exit status.
func Exit(status int, err error) error { return &ExitError{Status: status, Err: err} }

// Error returns the text of Err, or the status when there is none.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitStatus returns Status.
func (e *ExitError) ExitStatus() int { return e.Status }

// report prints err on stderr, unless it is to be quiet, and returns the exit status. Messages quote file names, lines of input and other machines: what is
// hidden in them is shown, in one line.
func (inv *invocation) report(ctx context.Context, err error) int {
	status, quiet := exitStatus(ctx, err)
	if quiet {
		return status
	}
	fmt.Fprintf(inv.std.Err, "%s: %s\n", inv.name, visible.Line(Mask(err.Error())))
	if h, ok := errors.AsType[hinter](err); ok && h.Hint() != "" {
		fmt.Fprintf(inv.std.Err, "%s: hint: %s\n", inv.name, visible.Line(Mask(h.Hint())))
	}
	return status
}

// hinter is an error that knows what to do about it.
type hinter interface {
	error
	Hint() string
}

// exitStatus says what to exit with because of err, and whether to say nothing about it.
func exitStatus(ctx context.Context, err error) (status int, quiet bool) {
	if err == nil || errors.Is(err, errDone) {
		return OK, true
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Status, e.Quiet || e.Err == nil
	}
	if status, ok := interrupted(ctx, err); ok {
		return status, true
	}
	if outputClosed(err) {
		return OK, true
	}
	e, ok := errors.AsType[interface {
		error
		ExitStatus() int
	}](err)
	if ok {
		return e.ExitStatus(), false
	}
	return Failed, false
}

// interrupted tells whether err is the consequence of a signal, and the status that shells use for that.
func interrupted(ctx context.Context, err error) (status int, ok bool) {
	cause, ok := errors.AsType[*SignalError](context.Cause(ctx))
	if !ok || !errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
		return 0, false
	}
	n, _ := cause.Signal.(syscall.Signal)
	return 128 + int(n), true
}
