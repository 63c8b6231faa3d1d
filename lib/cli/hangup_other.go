//go:build !unix

package cli

import "context"

// Hangups returns a channel on which nothing ever comes: there is no SIGHUP here.
func Hangups(context.Context) <-chan struct{} { return nil }

func surviveClosedOutput() {}
