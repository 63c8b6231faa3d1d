package web

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// bulletin reads the events once for all who follow them, and not at all while nobody does. It keeps the newest, as they are written to streams; who
// falls behind what is kept asks the main node for the rest.
type bulletin struct {
	main  *mainNode
	heard func(*cluster.Event) // is told of each event at once
	wake  chan struct{}        // somebody follows

	mu        sync.Mutex
	followers int
	life      time.Time          // of the main node that is read: when it started
	anew      bool               // what was read may be of another life of the main node than what will be
	resets    int                // how often all was forgotten, because it is from another life of the main node
	stop      context.CancelFunc // ends the reading; nil: nothing is read
	known     bool               // where it begins
	err       error              // why nothing is read
	from      int64              // all events after this one are in pages
	last      int64              // of these
	pages     []*page
	size      int             // bytes of them
	changed   chan struct{}   // closed when there is something new
	writing   []cluster.Event // what came since the last page
	turned    time.Time       // when that was
	turn      *time.Timer     // to turn it; nil: nothing waits
}

const (
	turnEvery    = 40 * time.Millisecond // pages, at the most: events that come together are written together
	lookOutEvery = 10 * time.Second
	mostBulletin = 4 << 20 // bytes kept
)

// page is events that came together.
type page struct {
	events  []cluster.Event
	written [dialects]frames // each from when somebody first reads it
}

// frames are events as they stand in a stream.
type frames struct {
	once  sync.Once
	bytes []byte
	ends  []int // of each event's frame
}

func (p *page) in(d dialect) *frames {
	f := &p.written[d]
	f.once.Do(func() {
		for i := range p.events {
			f.bytes = append(f.bytes, d.frame(&p.events[i])...)
			f.ends = append(f.ends, len(f.bytes))
		}
	})
	return f
}

// frameSize is about what one event takes in the dialects that are read, beside its reason.
const frameSize = 512

// size is about how many bytes it takes.
func (p *page) size() (bytes int) {
	for i := range p.events {
		bytes += frameSize + int(unsafe.Sizeof(cluster.Event{})) + 3*len(p.events[i].Reason)
	}
	return bytes
}

func (p *page) last() int64 { return p.events[len(p.events)-1].Seq }

// after is the frames of those after a number that are wanted.
func (p *page) after(seq int64, want *interest) []byte {
	f := p.in(want.dialect)
	if want.all() && p.events[0].Seq > seq {
		return f.bytes
	}
	var wanted []byte
	begin := 0
	for i, end := range f.ends {
		if e := &p.events[i]; e.Seq > seq && want.wants(e) {
			wanted = append(wanted, f.bytes[begin:end]...)
		}
		begin = end
	}
	return wanted
}

func newBulletin(m *mainNode, heard func(*cluster.Event)) *bulletin {
	return &bulletin{main: m, heard: heard, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

// run reads until ctx ends.
func (j *bulletin) run(ctx context.Context) {
	for ctx.Err() == nil {
		reading, stop := j.begin(ctx)
		if reading == nil {
			select {
			case <-j.wake:
			case <-ctx.Done():
			}
			continue
		}
		err := j.read(reading)
		failed := reading.Err() == nil
		stop()
		if !failed {
			continue
		}
		j.fail(err)
		j.main.lookAgain()
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

// begin makes a context that ends when nobody follows any more; nil: nobody does.
func (j *bulletin) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followers == 0 {
		return nil, nil
	}
	ctx, j.stop = context.WithCancel(ctx)
	return ctx, j.stop
}

// read reads events until ctx ends. The client connects again by itself; where it gives up, the main node is elsewhere or was never there.
func (j *bulletin) read(ctx context.Context) error {
	c, err := j.main.client()
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	go j.lookOut(ctx)
	for e, err := range c.Events(ctx, wire.FollowEvents{After: j.start(status.Started, status.LastEvent), Follow: true}) {
		if err != nil {
			return err
		}
		j.heard(&e.Event)
		j.add(&e.Event)
	}
	return nil
}

// start says after which event to read. The number of one that does not exist yet is from another life of the main node.
func (j *bulletin) start(life time.Time, newest int64) (seq int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.known || j.last > newest {
		if j.known || j.anew {
			j.resets++
		}
		j.anew, j.known, j.from, j.last, j.pages, j.size, j.writing = false, true, newest, newest, nil, 0, nil
	}
	j.life, j.err = life, nil
	j.tell()
	return j.last
}

func (j *bulletin) tell() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// lookOut looks now and then whether it is the same main node still.
func (j *bulletin) lookOut(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-time.After(lookOutEvery):
		case <-ctx.Done():
			return
		}
		if c, err := j.main.client(); err == nil {
			if status, err := c.Status(ctx); err == nil {
				j.look(status.Started)
			}
		}
	}
}

// look has the reading begin anew where the main node was started anew: the client has connected to it again by itself, but it may know less than before,
// as after the restore of a backup.
func (j *bulletin) look(life time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known && !j.life.Equal(life) && j.stop != nil {
		j.anew, j.known, j.pages, j.size, j.writing = true, false, nil, 0, nil
		j.stop()
	}
}

func (j *bulletin) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followers == 0 {
		return
	}
	j.turnPage()
	j.err = err
	j.tell()
}

// add writes an event, and turns the page if the last one has been for a while.
func (j *bulletin) add(e *cluster.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.known { // nobody follows any more
		return
	}
	j.writing = append(j.writing, *e)
	switch wait := turnEvery - time.Since(j.turned); {
	case wait <= 0:
		j.turnPage()
	case j.turn == nil:
		j.turn = time.AfterFunc(wait, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.turnPage()
		})
	}
}

// turnPage lets those see what came who follow.
func (j *bulletin) turnPage() {
	if j.turn != nil {
		j.turn.Stop()
		j.turn = nil
	}
	if len(j.writing) == 0 {
		return
	}
	p := &page{events: j.writing}
	j.writing, j.turned = nil, time.Now()
	j.pages, j.last, j.size = append(j.pages, p), p.last(), j.size+p.size()
	for j.size > mostBulletin && len(j.pages) > 1 {
		j.from, j.size, j.pages = j.pages[0].last(), j.size-j.pages[0].size(), j.pages[1:]
	}
	j.tell()
}

// follow begins to follow; call leave.
func (j *bulletin) follow() (leave func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followers++; j.followers == 1 {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
	return j.leave
}

func (j *bulletin) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.followers--; j.followers > 0 {
		return
	}
	if j.stop != nil {
		j.stop()
	}
	j.known, j.err, j.pages, j.size, j.writing = false, nil, nil, 0, nil
}

// news is what is new to who has seen all up to a number.
type news struct {
	page    *page // the next one; nil: there is none. One at a time: a slow reader keeps no more
	missing int64 // those up to this one are not kept here; 0: none is missing
	resets  int
	newest  int64 // event
	err     error // nothing is read
	changed chan struct{}
}

func (j *bulletin) after(seq int64) news {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := news{err: j.err, changed: j.changed, resets: j.resets, newest: j.last}
	switch {
	case !j.known:
	case seq < j.from:
		n.missing = j.from
	default:
		first := len(j.pages)
		for first > 0 && j.pages[first-1].last() > seq {
			first--
		}
		if first < len(j.pages) {
			n.page = j.pages[first]
		}
	}
	return n
}

// frameOf is an event of a stream: its number, its name if it has one, and one line of data if it has any.
func frameOf(id int64, name string, data []byte) []byte {
	return framed(strconv.FormatInt(id, 10), name, data)
}

// framed is the same with any id; without one, what the reader has seen last stays what it is.
func framed(id, name string, data []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(data) + 64)
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	if data != nil {
		b.WriteString("data: ")
		b.Write(data)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
