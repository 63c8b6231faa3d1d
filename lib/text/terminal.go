package text

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// Limits of an SGR sequence (ESC [ … m: colours, bold) that is let through.
const (
	maxSGR           = 96 // bytes
	maxSGRParameters = 16
)

const resetSGR = "\x1b[0m"

// TerminalWriter makes the output of a task safe to show on a terminal: newlines, tabs and colours stay, every other
// control character is pictured as by Sanitize, \r too, since it hides text.
type TerminalWriter struct {
	w      io.Writer
	held   []byte // the beginning of a character or of a sequence whose end has not come yet
	out    []byte
	styled bool // a colour or the like is on
}

// NewTerminalWriter returns a TerminalWriter that writes to w.
func NewTerminalWriter(w io.Writer) *TerminalWriter { return &TerminalWriter{w: w} }

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
	if isHidden(r) && r != '\n' && r != '\t' {
		t.out = append(t.out, picture(r)...)
	} else {
		t.out = utf8.AppendRune(t.out, r)
	}
	return n
}

func (t *TerminalWriter) style(sequence []byte) {
	t.out = append(t.out, sequence...)
	parameters := sequence[2 : len(sequence)-1]
	t.styled = len(bytes.Trim(parameters, "0;")) > 0
}

// sgr is the length of the SGR sequence that b, an ESC first, begins with; 0: none. cut says that b ends too early
// to tell.
func sgr(b []byte) (n int, cut bool) {
	parameters := 1
	for i := 1; i < len(b) && i < maxSGR; i++ {
		switch c := b[i]; {
		case i == 1:
			if c != '[' {
				return 0, false
			}
		case c == 'm':
			return i + 1, false
		case c == ';' || c == ':':
			if parameters++; parameters > maxSGRParameters {
				return 0, false
			}
		case c < '0' || c > '9':
			return 0, false
		}
	}
	return 0, len(b) < maxSGR
}
