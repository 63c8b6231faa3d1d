//go:build !linux

package executor

import "os"

// handle is an open file as start takes it.
type handle = *os.File

func descriptor(h handle) uintptr { return h.Fd() }

// pipes joins a process with its output.
type pipes struct {
	pumps
	theirs [3]*os.File // the process's ends; nil where they are not to be closed
}

func openPipes(l *launch, null *os.File, stdin bool) (p *pipes, err error) {
	p = new(pipes)
	if stdin {
		p.theirs[0], p.in, err = os.Pipe()
	}
	if err == nil {
		p.out, p.theirs[1], err = os.Pipe()
	}
	if err == nil {
		p.err, p.theirs[2], err = os.Pipe()
	}
	if err != nil {
		p.closeTheirs()
		p.close()
		return nil, err
	}
	l.files = p.theirs
	if !stdin {
		l.files[0] = null
	}
	return p, nil
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

// begin has the pipes carried while the process runs.
func (p *pipes) begin(stdin string, out *output) { p.start(stdin, out) }

// pump does nothing: begin has done it.
func (p *pipes) pump(*output) {}

// end takes what is left in the pipes after the process's end.
func (p *pipes) end(*output) { p.pumps.end() }
