package text

import (
	"strings"
	"unicode"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// csvField prepares a field of free text for encoding/csv. A spreadsheet takes for a formula what begins like one:
// a ' before it makes it text. Line ends and tabs stay, other controls have no place in RFC 4180 and are pictured.
func csvField(s string) string {
	if likeFormula(s) {
		s = "'" + s
	}
	return visible.Replace(s, func(r rune) string {
		if r == '\t' || r == '\r' || r == '\n' {
			return string(r)
		}
		return visible.Picture(r)
	})
}

// likeFormula says whether a field begins as ASVS 5.0 says (V1.2.10: = + - @, tab, NUL) or with a line end; or with white space and then one of these, since
// LibreOffice and others can be told to trim fields; or with one of = + - @ in full width, which Excel takes for them in Japanese.
func likeFormula(s string) bool {
	if s == "" {
		return false
	}
	if strings.IndexByte("\t\r\n\x00", s[0]) >= 0 {
		return true
	}
	for _, r := range s {
		if !unicode.IsSpace(r) && !visible.Hidden(r) {
			return strings.ContainsRune("=+-@＝＋－＠", r)
		}
	}
	return false
}

var tsvEscapes = map[rune]string{'\t': `\t`, '\n': `\n`, '\r': `\r`}

// tsvField escapes a field of TSV so that it can be read back. Other controls are written as in JSON.
func tsvField(s string) string {
	return visible.Replace(strings.ReplaceAll(s, `\`, `\\`), func(r rune) string {
		if e := tsvEscapes[r]; e != "" {
			return e
		}
		return visible.Escape(r)
	})
}
