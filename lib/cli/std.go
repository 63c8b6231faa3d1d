package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// Std holds the three streams of a command.
type Std struct {
	In       io.Reader
	Out, Err io.Writer

	// Width and ErrWidth are those, in columns, of terminals that Out and Err are though they are no files, such as one in a browser; else 0.
	Width, ErrWidth int
}

// Env looks a variable up, as os.LookupEnv does.
type Env func(name string) (value string, ok bool)

// Terminal tells whether Out is a terminal, and its width in columns.
func (s Std) Terminal() (width int, ok bool) {
	if s.Width > 0 {
		return s.Width, true
	}
	return terminal(s.Out)
}

// ErrTerminal tells whether Err is a terminal.
func (s Std) ErrTerminal() bool {
	_, ok := terminal(s.Err)
	return ok || s.ErrWidth > 0
}

func terminal(w io.Writer) (width int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// OrEmpty replaces the streams that are nil by empty ones.
func (s Std) OrEmpty() Std {
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	if s.Out == nil {
		s.Out = io.Discard
	}
	if s.Err == nil {
		s.Err = io.Discard
	}
	return s
}

// outputClosed tells whether err is that nobody reads the standard output any more, as after "| head -1".
// Mostly SIGPIPE ends the process before; this is for where there is no such signal and for pipes inside the process.
func outputClosed(err error) bool {
	if errors.Is(err, io.ErrClosedPipe) {
		return true
	}
	path, ok := errors.AsType[*fs.PathError](err)
	if !ok || path.Path != os.Stdout.Name() {
		return false
	}
	const windowsBrokenPipe, windowsNoData = syscall.Errno(109), syscall.Errno(232)
	return errors.Is(err, syscall.EPIPE) ||
		os.PathSeparator == '\\' && (errors.Is(err, windowsBrokenPipe) || errors.Is(err, windowsNoData))
}
