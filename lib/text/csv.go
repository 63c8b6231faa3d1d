package text

import "strings"

// csvField prepares a field of free text for encoding/csv. A spreadsheet takes for a formula what begins like one:
// a ' before it makes it text. Line ends and tabs stay, other controls have no place in RFC 4180 and are pictured.
func csvField(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 {
		s = "'" + s
	}
	return replaceHidden(s, func(r rune) string {
		if r == '\t' || r == '\r' || r == '\n' {
			return string(r)
		}
		return picture(r)
	})
}

var tsvEscapes = map[rune]string{'\t': `\t`, '\n': `\n`, '\r': `\r`}

// tsvField escapes a field of TSV so that it can be read back. Other controls are written as in JSON.
func tsvField(s string) string {
	return replaceHidden(strings.ReplaceAll(s, `\`, `\\`), func(r rune) string {
		if e := tsvEscapes[r]; e != "" {
			return e
		}
		return backslashU(r)
	})
}
