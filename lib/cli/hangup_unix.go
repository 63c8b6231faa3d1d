//go:build unix

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Hangups returns a channel that gets a value after each SIGHUP until ctx ends; several in a row may be one.
// It is never closed. Where there is no SIGHUP nothing ever comes.
func Hangups(ctx context.Context) <-chan struct{} {
	c := make(chan os.Signal, 1)
	out := make(chan struct{}, 1)
	signal.Notify(c, syscall.SIGHUP)
	go forward(ctx, c, out)
	return out
}

func forward(ctx context.Context, c chan os.Signal, out chan<- struct{}) {
	defer signal.Stop(c)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c:
		}
		select {
		case out <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// surviveClosedOutput makes SIGPIPE an error of Write. The signal is caught, not ignored:
// what is ignored would stay so in the programs that a daemon starts.
func surviveClosedOutput() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
