package executor

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const pipeGrace = 200 * time.Millisecond // for the pipes to end, after the leader has

// end is one of the two of a pipe.
type end int

const (
	reading end = iota
	writing
)

// pipes joins a process with its output.
type pipes struct {
	in, out, err *os.File    // our ends; in may be nil
	theirs       [3]*os.File // the process's ends; nil where they are not to be closed
	writer       sync.WaitGroup
	readers      sync.WaitGroup
}

func openPipes(l *launch, null *os.File, stdin bool) (p *pipes, err error) {
	p = new(pipes)
	if stdin {
		p.theirs[0], p.in, err = openPipe(writing)
	}
	if err == nil {
		p.out, p.theirs[1], err = openPipe(reading)
	}
	if err == nil {
		p.err, p.theirs[2], err = openPipe(reading)
	}
	if err != nil {
		p.closeTheirs()
		p.closeOurs()
		return nil, err
	}
	l.files = p.theirs
	if !stdin {
		l.files[0] = null
	}
	return p, nil
}

// The methods of a nil *os.File answer an error, which says nothing new here.

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

func (p *pipes) closeOurs() {
	p.in.Close()
	p.out.Close()
	p.err.Close()
}

// serve writes what the process reads and reads what it writes.
func (p *pipes) serve(stdin string, out *output) {
	if p.in != nil {
		p.writer.Go(func() {
			p.in.WriteString(stdin) // whether the program reads it all is its own affair
			p.in.Close()
		})
	}
	p.readers.Go(func() { out.pump(task.Stdout, p.out) })
	p.readers.Go(func() { out.pump(task.Stderr, p.err) })
}

// end waits for the pipes' ends after the leader's, though not for ever: who left the group may still hold them.
func (p *pipes) end() {
	limit := time.Now().Add(pipeGrace)
	late := errors.Join(p.out.SetReadDeadline(limit), p.err.SetReadDeadline(limit))
	if late != nil { // no deadlines on this system's pipes
		t := time.AfterFunc(pipeGrace, p.closeOurs)
		defer t.Stop()
	}
	p.in.Close()
	p.writer.Wait()
	p.readers.Wait()
	p.closeOurs()
}
