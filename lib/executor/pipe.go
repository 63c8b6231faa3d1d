package executor

import (
	"os"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const (
	pumpAfter = 2 * time.Millisecond   // of an attempt, what it prints is read while it runs
	pipeGrace = 200 * time.Millisecond // for the pipes to end, after the leader has
)

// pumps carry a process's input and output while it runs.
type pumps struct {
	in, out, err *os.File // our ends; in may be nil
	writer       sync.WaitGroup
	readers      sync.WaitGroup
}

// start writes what the process reads and reads what it writes.
func (p *pumps) start(stdin string, out *output) {
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
func (p *pumps) end() {
	limit := time.Now().Add(pipeGrace)
	if p.out.SetReadDeadline(limit) != nil || p.err.SetReadDeadline(limit) != nil { // no deadlines on this system's pipes
		t := time.AfterFunc(pipeGrace, p.close)
		defer t.Stop()
	}
	p.in.Close()
	p.writer.Wait()
	p.readers.Wait()
	p.close()
}

// close closes our ends. The methods of a nil *os.File answer an error, which says nothing new here.
func (p *pumps) close() {
	p.in.Close()
	p.out.Close()
	p.err.Close()
}
