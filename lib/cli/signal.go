package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// SignalError is the cause of a context's end: a signal came.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return e.Signal.String() + " signal received" }

// signals is what [Daemon] finds in the context that [Main] made.
type signals struct {
	daemon atomic.Bool
	kill   context.Context
	now    context.CancelCauseFunc
}

type signalsKey struct{}

// catchSignals returns a context that ends at the first SIGINT or SIGTERM.
// Its goroutine lives as long as the process.
func catchSignals(parent context.Context) context.Context {
	s := new(signals)
	s.kill, s.now = context.WithCancelCause(parent)
	ctx, drain := context.WithCancelCause(context.WithValue(parent, signalsKey{}, s))
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGTERM)
	if !signal.Ignored(os.Interrupt) { // a shell's background job shall survive the Ctrl-C for another
		signal.Notify(c, os.Interrupt)
	}
	go s.watch(c, drain)
	return ctx
}

// watch drains at the first signal and kills at the second; from then on signals do what they do by default.
func (s *signals) watch(c chan os.Signal, drain context.CancelCauseFunc) {
	drain(&SignalError{<-c})
	if s.daemon.Load() {
		s.now(&SignalError{<-c})
	}
	signal.Stop(c)
}

// Daemon says that this command serves until it is told to stop. The first SIGINT or SIGTERM ends ctx: drain.
// The second ends the context that Daemon returns: stop at once. The third ends the process.
// From then on a standard output or error that nobody reads any more does not end the process either.
// Call it once, first thing in Run, with the context that Run got; with one not from [Main] the result never ends.
func Daemon(ctx context.Context) (kill context.Context) {
	s, ok := ctx.Value(signalsKey{}).(*signals)
	if !ok {
		return context.WithoutCancel(ctx)
	}
	s.daemon.Store(true)
	surviveClosedOutput()
	return s.kill
}
