// Package visible makes text visible: it alone says which characters do not show but act, or hide, and what is shown in their place. Every package may use
// it, and it knows nothing of clusters: lib/text shows by it what tasks and devices say, lib/cli the errors of commands.
package visible

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hidden are the characters that do not show but act, or that nobody sees, so that one text can look like another:
//   - the controls C0, DEL and C1, and the line separators;
//   - the controls of writing direction;
//   - what has no width and no look: soft hyphen, zero width space, word joiner, byte order mark, invisible operators, annotations, blank letters, and the
//     characters of tags (U+E0000…), by which a whole text can be hidden in another. Three flags are lost by that.
//
// Joiner and non-joiner (U+200C, U+200D) are not among them: emoji, Persian and the scripts of India cannot be written without. They count as marks.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1},
		{Lo: 0x007f, Hi: 0x009f, Stride: 1},
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1},
		{Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x115f, Hi: 0x1160, Stride: 1},
		{Lo: 0x180e, Hi: 0x180e, Stride: 1},
		{Lo: 0x200b, Hi: 0x200b, Stride: 1},
		{Lo: 0x200e, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202e, Stride: 1},
		{Lo: 0x2060, Hi: 0x206f, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
		{Lo: 0xfff0, Hi: 0xfffb, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1bca0, Hi: 0x1bca3, Stride: 1},
		{Lo: 0x1d173, Hi: 0x1d17a, Stride: 1},
		{Lo: 0xe0000, Hi: 0xe00ff, Stride: 1},
		{Lo: 0xe01f0, Hi: 0xe0fff, Stride: 1},
	},
	LatinOffset: 3,
}

// Hidden says whether a character acts, or is not seen.
func Hidden(r rune) bool { return r >= 0x7f && unicode.Is(hidden, r) || r < 0x20 }

// MaxMarks is how many marks stand on one character. More than four are in no language; more than a few cover the lines above and below.
const MaxMarks = 8

// Eye goes through a text, character by character. Its zero value stands at the beginning.
type Eye struct{ marks int }

// Hides says whether the next character is hidden, or is one mark too many on the character before it.
func (e *Eye) Hides(r rune) bool {
	if !IsMark(r) {
		e.marks = 0
		return Hidden(r)
	}
	e.marks = min(e.marks+1, MaxMarks+1)
	return e.marks > MaxMarks
}

// IsMark says whether a character takes no room of its own: accents and the like, variation selectors, joiners.
func IsMark(r rune) bool {
	return r >= 0x300 && (r == 0x200c || r == 0x200d || unicode.In(r, unicode.Mn, unicode.Me))
}

// Picture shows a hidden character: ␛, ␊, or its number, <U+202E>.
func Picture(r rune) string {
	switch {
	case r < 0x20:
		return string(0x2400 + r)
	case r == 0x7f:
		return "␡"
	}
	return fmt.Sprintf("<U+%04X>", r)
}

// Line makes one line, for a terminal too, of any text: what is hidden is shown by its picture, and bytes that are not UTF-8 by U+FFFD.
func Line(s string) string { return Replace(s, Picture) }

// JSON escapes what is hidden in a line of JSON; it means the same then. Hidden characters stand only within strings there.
func JSON(s string) string { return Replace(s, Escape) }

// Escape writes a character as JSON does: \u202e, those beyond U+FFFF as a pair.
func Escape(r rune) string {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// Replace writes what is hidden as show does, and U+FFFD for each byte that is not UTF-8.
func Replace(s string, show func(rune) string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	var eye Eye
	for _, r := range s {
		if eye.Hides(r) {
			b.WriteString(show(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// clean says whether nothing of s is to be replaced.
func clean(s string) bool {
	var eye Eye
	return utf8.ValidString(s) && !strings.ContainsFunc(s, eye.Hides)
}
