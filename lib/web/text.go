package web

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// printing prints something of the cluster, as a command does.
type printing func(context.Context, *client.Client, *text.Printer) error

// text serves what parse makes of the parameters: some of a noun. A list of them has its name where it becomes one JSON document.
func (s *Server) text(noun string, parse func(*query) printing) http.Handler {
	list := noun
	if noun == "status" { // there is one
		list = ""
	}
	return s.plain(func(w http.ResponseWriter, r *http.Request) error {
		q := newQuery(r)
		print := parse(q)
		shape := q.shape(r)
		shape.columns = q.columns(noun, shape.format)
		if err := q.check(); err != nil {
			return err
		}
		w.Header().Set("Vary", "Accept")
		out := newOutput(w, r, &shape, list)
		defer out.end()
		return s.asker(r.Context()).do(func(c *client.Client) error { return out.print(c, print) })
	})
}

// output is an answer that may be long: as long as it goes on, neither the main node nor the reader is too slow.
type output struct {
	http.ResponseWriter
	ctx    context.Context
	cancel context.CancelFunc
	late   *time.Timer
	shape  *shape
	list   string
	begun  bool
	lines  bool // a line stands in the document
}

func newOutput(w http.ResponseWriter, r *http.Request, s *shape, list string) *output {
	ctx, cancel := context.WithCancel(r.Context())
	return &output{ResponseWriter: w, ctx: ctx, cancel: cancel, late: time.AfterFunc(answerTime, cancel), shape: s, list: list}
}

func (o *output) end() {
	o.late.Stop()
	o.cancel()
}

// print prints it all. After an answer has begun it is too late for an error: then the connection breaks.
func (o *output) print(c *client.Client, print printing) error {
	p := text.NewPrinter(o, o.shape.format, text.Style{Width: -1, Now: time.Now()})
	p.Pick(o.shape.columns)
	err := print(o.ctx, c, p)
	if err == nil {
		err = p.Flush()
	}
	switch {
	case err == nil:
		return o.finish()
	case o.begun:
		panic(http.ErrAbortHandler)
	}
	return err
}

// begin writes what stands before the first line.
func (o *output) begin() error {
	if o.begun {
		return nil
	}
	o.begun = true
	o.Header().Set("Content-Type", o.shape.contentType())
	if !o.shape.document {
		return nil
	}
	return o.raw(`{"status":"success","data":` + o.open())
}

func (o *output) open() string {
	if o.list == "" {
		return ""
	}
	return `{"` + o.list + `":[`
}

// finish writes what stands behind the last line.
func (o *output) finish() error {
	if err := o.begin(); err != nil || !o.shape.document {
		return err
	}
	if o.list == "" {
		return o.raw("}\n")
	}
	return o.raw("]}}\n")
}

// Write takes whole lines.
func (o *output) Write(b []byte) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	piece := b
	if o.shape.document {
		piece = bytes.ReplaceAll(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"), []byte(","))
		if o.lines {
			piece = append([]byte(","), piece...)
		}
		o.lines = true
	}
	if err := o.raw(string(piece)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (o *output) raw(piece string) error {
	o.late.Reset(answerTime)
	http.NewResponseController(o.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime)) // where it cannot, the server's limit stays
	_, err := o.ResponseWriter.Write([]byte(piece))
	return err
}

func printStatus(*query) printing {
	return func(ctx context.Context, c *client.Client, p *text.Printer) error {
		status, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return p.Status(status)
	}
}

func printDevices(q *query) printing {
	filter := q.devices()
	return func(ctx context.Context, c *client.Client, p *text.Printer) error {
		devices, err := c.Devices(ctx)
		if err != nil {
			return err
		}
		return p.Devices(filter.of(devices))
	}
}

// The greatest numbers of lines that one may ask for. The newest tasks are held in memory to be turned round; all of them are not.
const (
	mostNewest = 10_000
	mostEvents = 1_000_000
)

func printTasks(q *query) printing {
	filter, newest := q.tasks(), q.number("n", 0, 1, mostNewest)
	since := q.since()
	return func(ctx context.Context, c *client.Client, p *text.Printer) (err error) {
		if filter.Since, err = since.Time(ctx, c); err != nil {
			return err
		}
		if newest > 0 {
			tasks, err := c.Newest(ctx, filter, newest)
			if err != nil {
				return err
			}
			return p.Tasks(tasks)
		}
		return p.TasksFrom(c.Tasks(ctx, wire.ListTasks{Filter: filter}))
	}
}

// manyEvents is how much of the log is shown where nobody says how much.
const manyEvents = 100

func printEvents(q *query) printing {
	f := wire.FollowEvents{Filter: q.events(), Last: q.number("n", manyEvents, 1, mostEvents)}
	return func(ctx context.Context, c *client.Client, p *text.Printer) error {
		for e, err := range c.Events(ctx, f) {
			if err == nil {
				err = p.Events([]cluster.Event{e.Event})
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}
