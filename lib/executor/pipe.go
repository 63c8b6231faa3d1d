package executor

import (
	"os"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const pipeGrace = 200 * time.Millisecond // for the pipes to end, after the leader has

// view is a program that runs on: our ends of its pipes, and for how long it has.
type view struct {
	out, err *os.File
	ran      time.Duration
}

// carrier carries what a program reads, and what it prints while it runs.
type carrier struct {
	output  *output
	in      *os.File // our end; nil: it reads nothing
	view    view
	blind   bool // it was to be seen, and could not be
	writer  sync.WaitGroup
	readers sync.WaitGroup
}

// feed writes what the program reads. Whether the program reads it all is its own affair.
func (c *carrier) feed(in *os.File, stdin string) {
	c.in = in
	c.writer.Go(func() {
		in.WriteString(stdin)
		in.Close()
	})
}

// see reads what the program writes from now on.
func (c *carrier) see(v view) {
	if c.view = v; v.out == nil {
		c.blind = true
		return
	}
	c.readers.Go(func() { c.output.pump(task.Stdout, v.out) })
	c.readers.Go(func() { c.output.pump(task.Stderr, v.err) })
}

// over takes what a program has printed that is over.
func (c *carrier) over(p running, e *exit) {
	select {
	case v := <-p.shown(): // at the same moment
		c.see(v)
	default:
	}
	c.output.take(e)
}

// end waits for the pipes' ends after the leader's, though not for ever: who left the group may still hold them. The methods of a nil *os.File answer
// an error, which says nothing new here.
func (c *carrier) end() {
	c.in.Close()
	c.writer.Wait()
	if c.view.out == nil {
		return
	}
	limit := time.Now().Add(pipeGrace)
	if c.view.out.SetReadDeadline(limit) != nil || c.view.err.SetReadDeadline(limit) != nil { // no deadlines on this system's pipes
		t := time.AfterFunc(pipeGrace, c.view.close)
		defer t.Stop()
	}
	c.readers.Wait()
	c.view.close()
}

func (v *view) close() {
	v.out.Close()
	v.err.Close()
}
