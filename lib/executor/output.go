package executor

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// output takes what an attempt prints to its sink, up to the limit, and counts the rest.
type output struct {
	sink  Sink
	limit int64

	mu      sync.Mutex // held while the sink is called
	kept    int64
	dropped int64
	closed  bool // the attempt is over
}

func (o *output) write(s task.Stream, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	keep := min(int64(len(data)), o.limit-o.kept)
	o.dropped += int64(len(data)) - keep
	if keep == 0 || o.closed {
		return
	}
	o.kept += keep
	o.sink(s, data[:keep])
}

// take takes what a process printed that was over before it was shown.
func (o *output) take(e *exit) {
	if e.stdout != "" {
		o.write(task.Stdout, []byte(e.stdout))
	}
	if e.stderr != "" {
		o.write(task.Stderr, []byte(e.stderr))
	}
}

// finish ends the calls of the sink and says in the result what was not kept.
func (o *output) finish(r *task.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.dropped > 0 {
		note(r, "output limit of %s reached; %d bytes not kept", size(o.limit), o.dropped)
	}
}

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// pump writes what a pipe brings until its end. Where the pipe ends by a deadline, somebody still holds it; what lay
// in it by then was printed in time.
func (o *output) pump(s task.Stream, pipe *os.File) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	splices := true
	for {
		var err error
		if splices && o.full() {
			var n int64
			n, splices, err = discard(pipe)
			o.drop(n)
		} else {
			var n int
			n, err = pipe.Read(buf[:])
			o.write(s, buf[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			o.empty(s, pipe, buf[:])
		}
		if err != nil {
			return
		}
	}
}

// full says whether nothing more is kept.
func (o *output) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept >= o.limit
}

// drop counts what is not kept.
func (o *output) drop(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped += n
}

const maxPipe = 1 << 20 // bytes that a pipe can hold

// empty writes what lies in a pipe. It never waits, and it ends even if the pipe is filled as fast as it is read.
func (o *output) empty(s task.Stream, pipe *os.File, buf []byte) {
	for total := 0; total < maxPipe; {
		n := readNow(pipe, buf)
		if n <= 0 {
			return
		}
		o.write(s, buf[:n])
		total += n
	}
}

// stream is output as an io.Writer.
type stream struct {
	out *output
	to  task.Stream
}

var _ io.Writer = stream{}

func (s stream) Write(p []byte) (int, error) {
	s.out.write(s.to, p)
	return len(p), nil
}
