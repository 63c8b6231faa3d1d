package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hidden are the characters that do not show but act: the controls C0, DEL and C1, the line separators, and the
// controls of writing direction, by which a text can look like another.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1},
		{Lo: 0x007f, Hi: 0x009f, Stride: 1},
		{Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x200e, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202e, Stride: 1},
		{Lo: 0x2066, Hi: 0x2069, Stride: 1},
	},
	LatinOffset: 2,
}

func isHidden(r rune) bool { return unicode.Is(hidden, r) }

// Sanitize makes one line for a terminal of any text: what does not show is shown by a picture (␛, ␊) or its number
// (<U+202E>), and bytes that are not UTF-8 by U+FFFD.
func Sanitize(s string) string {
	return replaceHidden(s, picture)
}

// picture shows a hidden character.
func picture(r rune) string {
	switch {
	case r < 0x20:
		return string(0x2400 + r)
	case r == 0x7f:
		return "␡"
	}
	return fmt.Sprintf("<U+%04X>", r)
}

// replaceHidden writes the hidden characters as show does, and U+FFFD for each byte that is not UTF-8.
func replaceHidden(s string, show func(rune) string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, isHidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isHidden(r) {
			b.WriteString(show(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// jsonSafe escapes what json.Encoder leaves as it is. Hidden characters stand only within strings there.
func jsonSafe(s string) string {
	return replaceHidden(s, backslashU)
}

func backslashU(r rune) string { return fmt.Sprintf(`\u%04x`, r) }

// oneLine is Sanitize for a cell of a table: of a long text only the beginning counts.
func oneLine(s string) string {
	const most = 1 << 10
	if len(s) > most {
		n := most
		for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return Sanitize(s)
}
