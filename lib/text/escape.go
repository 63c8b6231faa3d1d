package text

import (
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// Sanitize makes one line for a terminal of any text: what does not show is shown by a picture (␛, ␊) or its number
// (<U+202E>), and bytes that are not UTF-8 by U+FFFD.
func Sanitize(s string) string { return visible.Line(s) }

// SafeJSON escapes what is hidden in a line of JSON, which means the same then: encoders leave most of it as it is.
func SafeJSON(s string) string { return visible.JSON(s) }

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
