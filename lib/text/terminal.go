package text

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// maxLine is how much of a line, in bytes, a terminal is given: a megabyte without a newline would keep it busy, and nobody reads it there.
const maxLine = 8 << 10

// TerminalWriter makes the output of a task safe to show on a terminal: newlines, tabs and colours stay, every other
// control character is pictured as by Sanitize, \r too, since it hides text. Of a long line only the beginning is shown, and how much is left out.
type TerminalWriter struct {
	w      io.Writer
	held   []byte // the beginning of a character or of a sequence whose end has not come yet
	out    []byte
	styled bool // a colour or the like is on
	plain  bool // colours go
	eye    visible.Eye
	line   int   // bytes of the line that are shown
	more   int64 // bytes of it that are left out
}

// NewTerminalWriter returns a TerminalWriter that writes to w.
func NewTerminalWriter(w io.Writer) *TerminalWriter { return &TerminalWriter{w: w} }

// NewPlainWriter returns one that leaves colours out, for what shows none.
func NewPlainWriter(w io.Writer) *TerminalWriter { return &TerminalWriter{w: w, plain: true} }

// Write takes the next piece of output; pieces may end within a character or a sequence.
func (t *TerminalWriter) Write(p []byte) (int, error) {
	t.held = append(t.held, p...)
	t.take(false)
	if err := t.write(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back and turns colours off. It leaves the writer below open, and may be followed by
// the next output.
func (t *TerminalWriter) Close() error {
	t.take(true)
	t.endLine()
	if t.styled {
		t.out = append(t.out, resetSGR...)
		t.styled = false
	}
	return t.write()
}

func (t *TerminalWriter) write() error {
	if len(t.out) == 0 {
		return nil
	}
	_, err := t.w.Write(t.out)
	t.out = t.out[:0]
	return err
}

// take moves what is held to out; what may become whole with the next piece stays, unless this is the last one.
func (t *TerminalWriter) take(last bool) {
	in := t.held
	for len(in) > 0 {
		n := t.one(in, last)
		if n == 0 {
			break
		}
		in = in[n:]
	}
	t.held = append(t.held[:0], in...)
}

// one takes the character or sequence at the beginning of in and says how long it is; 0: its end has not come.
func (t *TerminalWriter) one(in []byte, last bool) int {
	if in[0] == 0x1b {
		n, cut := sgr(in)
		if n > 0 {
			t.style(in[:n])
			return n
		}
		if cut && !last {
			return 0
		}
	}
	if !last && !utf8.FullRune(in) {
		return 0
	}
	r, n := utf8.DecodeRune(in)
	if r == '\n' {
		t.endLine()
	}
	t.show(r, n)
	return n
}

// show shows a character, of n bytes in the output.
func (t *TerminalWriter) show(r rune, n int) {
	before := len(t.out)
	switch hides := t.eye.Hides(r); {
	case r == '\n':
		t.out = append(t.out, '\n')
		return
	case t.more > 0:
		t.more += int64(n)
		return
	case hides && r != '\t':
		t.out = append(t.out, visible.Picture(r)...)
	default:
		t.out = utf8.AppendRune(t.out, r)
	}
	if t.line += len(t.out) - before; t.line > maxLine {
		t.out = append(t.out[:before], "…"...)
		t.more = int64(n)
	}
}

// endLine says how much of the line is left out.
func (t *TerminalWriter) endLine() {
	if t.more > 0 {
		t.out = fmt.Appendf(t.out, " (%d bytes more)", t.more)
	}
	t.line, t.more = 0, 0
}

// style shows an SGR sequence. It counts for nothing in the line, and is shown in the part that is left out, too, where colours may end.
func (t *TerminalWriter) style(sequence []byte) {
	if t.plain {
		return
	}
	kept, some := harmless(sequence[2 : len(sequence)-1])
	if !some {
		return
	}
	t.out = append(t.out, "\x1b["...)
	t.out = append(t.out, kept...)
	t.out = append(t.out, 'm')
	t.styled = len(bytes.Trim(kept, "0;")) > 0
}
