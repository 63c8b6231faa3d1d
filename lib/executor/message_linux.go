package executor

import (
	"encoding/binary"
	"time"
)

// What this process and its slot helpers say to each other, over two sockets: launches and the answers to them, and orders about what runs.
// They are the same program, so there are no versions of this. A message to a helper is its length (4 bytes), its kind (1), the number of the
// attempt that it is about (4), and what the kind brings; the three descriptors of a launch come with its first byte. The answer to a launch
// has a fixed length.

type messageKind byte

const (
	sayLaunch messageKind = 1 + iota
	sayEnd
	sayFence
)

const headSize = 4 + 1 + 4

// writer makes a message.
type writer []byte

func newMessage(buf []byte, kind messageKind, attempt uint32) writer {
	w := append(writer(buf[:0]), 0, 0, 0, 0, byte(kind))
	return binary.LittleEndian.AppendUint32(w, attempt)
}

func (w *writer) span(d time.Duration) { *w = binary.LittleEndian.AppendUint64(*w, uint64(d)) }

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

func launchMessage(buf []byte, attempt uint32, l *launch) []byte {
	w := newMessage(buf, sayLaunch, attempt)
	w.span(l.grace)
	w.span(l.until)
	w.span(l.untilGrace)
	w.text(l.path)
	w.text(l.dir)
	w.texts(l.argv)
	w.texts(l.env)
	return w.done()
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

// launch reads what launchMessage wrote; the lists of the last one are used again.
func (r *reader) launch(l *launch) {
	l.grace, l.until, l.untilGrace = r.span(), r.span(), r.span()
	l.path, l.dir = r.text(), r.text()
	l.argv, l.env = r.texts(l.argv[:0]), r.texts(l.env[:0])
}

// verdict is a helper's answer to a launch.
type verdict struct {
	attempt uint32
	errno   uint32        // why it was not started; 0: it was
	status  uint32        // as wait says it
	left    uint32        // how many of its processes cannot be killed
	fenced  bool          // its right to run had run out
	cpu     time.Duration // what it used
	memory  int64         // bytes
}

const verdictSize = 5*4 + 2*8

// put writes it into b.
func (v *verdict) put(b *[verdictSize]byte) {
	fenced := uint32(0)
	if v.fenced {
		fenced = 1
	}
	w := b[:0]
	for _, n := range []uint32{v.attempt, v.errno, v.status, v.left, fenced} {
		w = binary.LittleEndian.AppendUint32(w, n)
	}
	w = binary.LittleEndian.AppendUint64(w, uint64(v.cpu))
	binary.LittleEndian.AppendUint64(w, uint64(v.memory))
}

// get reads it from b.
func (v *verdict) get(b *[verdictSize]byte) {
	r := reader(b[:])
	v.attempt, v.errno, v.status, v.left = r.number(), r.number(), r.number(), r.number()
	v.fenced, v.cpu, v.memory = r.number() != 0, r.span(), int64(r.span())
}
