package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// UnreachableError says that the main node cannot be reached, or that the connection with it broke.
type UnreachableError struct {
	Main string // its address
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("main node %s: %s", e.Main, plain(e.Err))
}

// Unwrap gives the network's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// ExitStatus is the status with which a command ends that met this error.
func (e *UnreachableError) ExitStatus() int { return 69 }

func isUnreachable(err error) bool {
	_, ok := errors.AsType[*UnreachableError](err)
	return ok
}

// plain says in few words what Go's errors of the network say with addresses and system calls around it.
func plain(err error) string {
	var number syscall.Errno
	var name *net.DNSError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is rc-mained running there?"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer; is rc-mained running there?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	case errors.As(err, &record):
		return "does not speak TLS; is it the port of another program?"
	case errors.As(err, &name) && name.IsNotFound:
		return "no such host"
	case errors.As(err, &number):
		return number.Error()
	}
	return err.Error()
}

// passing says whether it makes sense to try again what met this error.
func passing(err error) bool {
	return isUnreachable(err) || errors.Is(err, wire.ErrShutdown) || errors.Is(err, wire.ErrBusy)
}

// met makes of an error of the connection one for the caller: what the pin or the protocol refused is an answer,
// everything else says that the main node is not there.
func met(main string, err error) error {
	for _, answer := range []error{wire.ErrAuth, wire.ErrTooLarge, wire.ErrJSON, wire.ErrField, wire.ErrProto} {
		if errors.Is(err, answer) {
			return wire.NewError(fmt.Errorf("main node %s: %w", main, err))
		}
	}
	return &UnreachableError{main, err}
}
