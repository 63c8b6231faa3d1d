package worker

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// output is what an attempt printed: both streams in one order, kept until the attempt is judged.
type output struct {
	size   int64
	chunks []task.Chunk // without gaps
}

// add keeps data, which must not be changed afterwards.
func (o *output) add(stream task.Stream, after time.Duration, data []byte) {
	if len(data) == 0 {
		return
	}
	// Small pieces of one stream that follow each other at once are one: a program that prints byte by byte costs no more.
	if n := len(o.chunks); n > 0 {
		if last := &o.chunks[n-1]; last.Stream == stream && after-last.After < flushAfter && len(last.Data)+len(data) <= 4096 {
			last.Data = append(last.Data, data...)
			o.size += int64(len(data))
			return
		}
	}
	o.chunks = append(o.chunks, task.Chunk{Position: o.size, Stream: stream, After: after, Data: data})
	o.size += int64(len(data))
}

// at is the piece that begins at a position, at most wire.MaxPiece bytes of it, whole characters where it is text.
func (o *output) at(position int64) task.Chunk {
	i, found := slices.BinarySearchFunc(o.chunks, position, func(c task.Chunk, p int64) int { return int(c.Position - p) })
	if !found {
		i--
	}
	c := o.chunks[i]
	c.Data, c.Position = c.Data[position-c.Position:], position
	if len(c.Data) > wire.MaxPiece {
		c.Data = c.Data[:wholeRunes(c.Data[:wire.MaxPiece])]
	}
	return c
}

// wholeRunes is the length of b without a character that its end cuts in two.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i < len(b); i++ {
		if start := len(b) - i; utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return start
			}
			break
		}
	}
	return len(b)
}

// rest is all from a position on as what stdout printed and then what stderr printed; ok is false where it is more than most,
// or not text, or in another order.
func (o *output) rest(position, most int64) (stdout, stderr string, ok bool) {
	if o.size-position > most {
		return "", "", false
	}
	var out, errs []byte
	for position < o.size {
		c := o.at(position)
		position = c.End()
		switch {
		case c.Stream == task.Stderr:
			errs = append(errs, c.Data...)
		case len(errs) > 0:
			return "", "", false
		default:
			out = append(out, c.Data...)
		}
	}
	return string(out), string(errs), utf8.Valid(out) && utf8.Valid(errs)
}
