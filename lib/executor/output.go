package executor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// output takes what an attempt prints to its sink, up to the limit; of the rest, which it counts, it keeps the last bytes of each stream.
type output struct {
	sink  Sink
	whole int64    // as it was set
	limit int64    // of which some is kept for those
	tails [2]*tail // of stdout and stderr; nil: the limit is too low for one
	masks [2]*mask // of the same; nil: the task has no secrets

	mu      sync.Mutex // held while the sink is called
	kept    int64
	dropped int64
	closed  bool // the attempt is over
}

func (o *output) write(s task.Stream, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.masks[s-task.Stdout]; m != nil {
		data = m.pass(data)
	}
	o.put(s, data)
}

// put takes what is not secret.
func (o *output) put(s task.Stream, data []byte) {
	keep := min(int64(len(data)), o.limit-o.kept)
	o.beyond(s, data[keep:])
	if keep == 0 || o.closed {
		return
	}
	o.kept += keep
	o.sink(s, data[:keep])
}

// newOutput keeps room for the last bytes where the limit leaves some.
func newOutput(limit int64, secrets *task.Secrets, sink Sink) *output {
	o := &output{sink: sink, whole: limit, limit: limit, masks: [2]*mask{newMask(secrets), newMask(secrets)}}
	if limit >= tailShare {
		o.limit -= int64(len(o.tails)) * tailSize
		for i := range o.tails {
			o.tails[i] = new(tail)
		}
	}
	return o
}

// beyond counts what is printed beyond the limit.
func (o *output) beyond(s task.Stream, data []byte) {
	o.dropped += int64(len(data))
	if t := o.tails[s-task.Stdout]; t != nil {
		t.add(data)
	}
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
	for s, m := range o.masks {
		if m != nil {
			o.put(task.Stdout+task.Stream(s), m.rest())
		}
	}
	for s, t := range o.tails {
		if t != nil && !o.closed {
			o.end(task.Stdout+task.Stream(s), t)
		}
	}
	o.closed = true
	if o.dropped > 0 {
		note(r, "output limit of %s reached; %d bytes not kept", size(o.whole), o.dropped)
	}
}

// end hands on the last bytes of a stream, behind what says that some before them are missing.
func (o *output) end(s task.Stream, t *tail) {
	last := t.last()
	if len(last) == 0 {
		return
	}
	o.dropped -= int64(len(last))
	if t.after > 0 {
		o.sink(s, fmt.Appendf(nil, "\n[%d bytes that were printed here are not kept]\n", t.after))
	}
	o.sink(s, last)
}

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// pump writes what a pipe brings until its end. Where the pipe ends by a deadline, somebody still holds it; what lay
// in it by then was printed in time.
func (o *output) pump(s task.Stream, pipe *os.File) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	splices := o.masks[s-task.Stdout] == nil // what goes by unread cannot be hidden
	var d *discarder
	defer func() {
		if d != nil {
			o.ended(s, d)
		}
	}()
	for {
		var err error
		if splices && o.full() {
			var n int64
			if d == nil {
				d = newDiscarder()
			}
			n, splices, err = d.discard(pipe)
			o.drop(s, n)
			if !splices {
				o.ended(s, d)
				d = nil
			}
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
func (o *output) drop(s task.Stream, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped += n
	if t := o.tails[s-task.Stdout]; t != nil {
		t.after += n
	}
}

// ended takes the last bytes of those that were discarded.
func (o *output) ended(s task.Stream, d *discarder) {
	last := d.last()
	d.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.tails[s-task.Stdout]; t != nil {
		t.after -= int64(len(last))
		t.add(last)
	}
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
