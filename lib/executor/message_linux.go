package executor

import (
	"encoding/binary"
	"errors"
	"math"
	"syscall"
	"time"
)

// What this process and its slot helpers say to each other. They are the same program, so there are no versions of this.
//
// To a helper go launches over one socket, and orders about what was launched over another: a message is its length (4 bytes), its kind (1), the
// number of the attempt that it is about (4), and what the kind brings; a descriptor that a launch needs comes with its first byte.
//
// From a helper come verdicts on attempts, through a pipe that nobody waits for, so that many are read at once, and so that none is lost when the
// helper is killed; and bells through the launches' socket, which say that there is something to read, or to see.

type messageKind byte

const (
	sayLaunch messageKind = 1 + iota
	sayEnd
	sayFence
	sayHalt
	sayGo
	sayBlind // nobody reads what the attempt prints
)

const headSize = 4 + 1 + 4

// writer makes a message.
type writer []byte

func newMessage(buf []byte, kind messageKind, attempt uint32) writer {
	w := append(writer(buf[:0]), 0, 0, 0, 0, byte(kind))
	return binary.LittleEndian.AppendUint32(w, attempt)
}

func (w *writer) span(d time.Duration) { *w = binary.LittleEndian.AppendUint64(*w, uint64(d)) }

func (w *writer) number(n uint32) { *w = binary.LittleEndian.AppendUint32(*w, n) }

func (w *writer) flag(on bool) {
	n := uint32(0)
	if on {
		n = 1
	}
	w.number(n)
}

func (w *writer) text(s string) {
	*w = binary.LittleEndian.AppendUint32(*w, uint32(len(s)))
	*w = append(*w, s...)
}

func (w *writer) texts(list []string) {
	*w = binary.LittleEndian.AppendUint32(*w, uint32(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

// done is the message with its length before it.
func (w writer) done() []byte {
	binary.LittleEndian.PutUint32(w, uint32(len(w)-4))
	return w
}

func launchMessage(buf []byte, attempt, line uint32, l *launch) []byte {
	w := newMessage(buf, sayLaunch, attempt)
	w.number(line)
	w.flag(l.stdin != nil)
	w.flag(l.keeps)
	w.span(l.until)
	w.span(l.untilGrace)
	w.span(l.beginBy)
	w.limits(&l.limits)
	w.text(l.path)
	w.text(l.dir)
	w.texts(l.argv)
	w.texts(l.env)
	return w.done()
}

// limits are those that may be an attempt's own.
func (w *writer) limits(l *Limits) {
	w.span(time.Duration(l.Memory))
	w.span(time.Duration(l.Disk))
	w.number(uint32(min(l.Processes, math.MaxInt32)))
	w.span(time.Duration(math.Float64bits(l.CPUs)))
}

func (r *reader) limits(l *Limits) {
	l.Memory, l.Disk = int64(r.span()), int64(r.span())
	l.Processes = int(r.number())
	l.CPUs = math.Float64frombits(uint64(r.span()))
}

func orderMessage(buf []byte, o order) []byte {
	w := newMessage(buf, o.kind, o.attempt)
	w.span(o.until)
	w.span(o.grace)
	return w.done()
}

// reader takes a message apart. It was made by the same program; one that is not whole is a mistake in it.
type reader string

func (r *reader) number() uint32 {
	n := binary.LittleEndian.Uint32([]byte((*r)[:4]))
	*r = (*r)[4:]
	return n
}

func (r *reader) span() time.Duration {
	d := time.Duration(binary.LittleEndian.Uint64([]byte((*r)[:8])))
	*r = (*r)[8:]
	return d
}

func (r *reader) text() string {
	n := r.number()
	s := string((*r)[:n])
	*r = (*r)[n:]
	return s
}

func (r *reader) texts(list []string) []string {
	for n := r.number(); n > 0; n-- {
		list = append(list, r.text())
	}
	return list
}

// launched is a launch as a helper reads it.
type launched struct {
	launch
	attempt uint32
	line    uint32 // see slot.lines
	reads   bool   // a descriptor comes with it
}

// launch reads what launchMessage wrote; the lists of the last one are used again.
func (r *reader) launch(l *launched) {
	l.attempt, l.line, l.reads, l.keeps = r.number(), r.number(), r.number() != 0, r.number() != 0
	l.until, l.untilGrace, l.beginBy = r.span(), r.span(), r.span()
	r.limits(&l.limits)
	l.path, l.dir = r.text(), r.text()
	l.argv, l.env = r.texts(l.argv[:0]), r.texts(l.env[:0])
}

// verdict is how an attempt ended, by its helper.
type verdict struct {
	attempt uint32
	shown   bool          // the host has seen what it printed
	unbegun bool          // its turn did not come
	errno   uint32        // why it was not started; 0: it was
	status  uint32        // as wait says it
	left    uint32        // how many of its processes cannot be killed
	dirty   bool          // what it has left in its directory cannot be removed
	fenced  bool          // its right to run had run out
	over    excess        // the limit that it was ended for; 0: none
	wall    time.Duration // from its start to its end
	cpu     time.Duration // what it used
	memory  int64         // bytes
	stdout  []byte        // what it printed, unless it was shown
	stderr  []byte
}

// verdictMessage makes a message of a verdict, with its length before it.
func verdictMessage(buf []byte, v *verdict) []byte {
	w := append(writer(buf[:0]), 0, 0, 0, 0)
	for _, n := range []uint32{v.attempt, v.errno, v.status, v.left} {
		w.number(n)
	}
	w.flag(v.shown)
	w.flag(v.unbegun)
	w.flag(v.fenced)
	w.flag(v.dirty)
	w.number(uint32(v.over))
	w.span(v.wall)
	w.span(v.cpu)
	w.span(time.Duration(v.memory))
	w.number(uint32(len(v.stdout)))
	w = append(w, v.stdout...)
	w.number(uint32(len(v.stderr)))
	w = append(w, v.stderr...)
	return w.done()
}

// verdict reads what verdictMessage wrote, without the length.
func (r *reader) verdict() (attempt uint32, shown bool, e exit) {
	attempt = r.number()
	errno, status, left := r.number(), r.number(), r.number()
	shown = r.number() != 0
	unbegun, fenced, dirty, over := r.number() != 0, r.number() != 0, r.number() != 0, excess(r.number())
	wall, cpu, memory := r.span(), r.span(), int64(r.span())
	stdout, stderr := r.text(), r.text()
	switch {
	case unbegun:
		return attempt, shown, exit{unbegun: true}
	case fenced && wall == 0:
		return attempt, shown, exit{fenced: true} // it was not begun
	case errno != 0:
		return attempt, shown, exit{unstarted: syscall.Errno(errno)}
	case status == noStatus:
		e = exit{lost: errors.New("the system does not say")}
	default:
		e = exitOf(syscall.WaitStatus(status))
		e.cpu, e.memory, e.fenced = cpu, memory, fenced
	}
	e.over, e.dirty = over, dirty
	e.wall, e.left, e.stdout, e.stderr = wall, int(left), stdout, stderr
	return attempt, shown, e
}

// bell is what a helper says to be heard: that there are verdicts to read (ringNews), a verdict that is too long for the pipe, which follows
// (ringLong), or how the attempt that runs can be seen from now on (ringShow), of which two descriptors come along. What was launched behind that one
// is not begun. After that it may say how far the attempt has come (ringProgress), which follows.
type bell struct {
	kind    bellKind
	attempt uint32
	size    uint32        // of what follows
	ran     time.Duration // for how long the attempt has
}

type bellKind uint32

const (
	ringNews bellKind = 1 + iota
	ringLong
	ringShow
	ringProgress
)

const bellSize = 3*4 + 8

func (b *bell) put(buf *[bellSize]byte) {
	w := writer(buf[:0])
	w.number(uint32(b.kind))
	w.number(b.attempt)
	w.number(b.size)
	w.span(b.ran)
}

func (b *bell) get(buf *[bellSize]byte) {
	r := reader(buf[:])
	b.kind, b.attempt, b.size, b.ran = bellKind(r.number()), r.number(), r.number(), r.span()
}
