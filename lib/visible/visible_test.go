package visible

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestEveryCharacter holds the table against what Unicode says of each character: none that acts is left out.
func TestEveryCharacter(t *testing.T) {
	kept := map[rune]string{0x200c: "joins", 0x200d: "joins", 0x600: "shows", 0x601: "shows", 0x602: "shows", 0x603: "shows", 0x604: "shows", 0x605: "shows",
		0x6dd: "shows", 0x70f: "shows", 0x890: "shows", 0x891: "shows", 0x8e2: "shows", 0x110bd: "shows", 0x110cd: "shows"}
	for r := range rune(unicode.MaxRune + 1) {
		acts := unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		egyptian := r >= 0x13430 && r <= 0x1343f // they place hieroglyphs, and show where they cannot
		if acts && kept[r] == "" && !egyptian && !Hidden(r) {
			t.Errorf("%U acts, and is not hidden", r)
		}
		if Hidden(r) && (unicode.In(r, unicode.N, unicode.P, unicode.S, unicode.Zs) || unicode.IsLetter(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)) {
			t.Errorf("%U shows, and is hidden", r)
		}
		if Hidden(r) && IsMark(r) {
			t.Errorf("%U is both", r)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ünïcödé":                          "plain text, ünïcödé",
		"a\nb\tc\rd":                                   "a␊b␉c␍d",
		"\x1b[31mred\x1b[0m":                           "␛[31mred␛[0m",
		"\x00\x7f\u009b":                               "␀␡<U+009B>",
		"a\u202eb\u2066\u200f":                         "a<U+202E>b<U+2066><U+200F>",
		"\xff\xfe\xc3\x9b":                             "\ufffd\ufffd\u00db",
		"a\u200bb\ufeff":                               "a<U+200B>b<U+FEFF>",
		"x\U000e0041":                                  "x<U+E0041>",
		"می\u200cخواهم 👩‍👩‍👧":                          "می\u200cخواهم 👩‍👩‍👧",
		"\xed\xa0\x80\xc0\xaf":                         "\ufffd\ufffd\ufffd\ufffd\ufffd",
		"o" + strings.Repeat("\u0301", 10) + "k\u0301": "o" + strings.Repeat("\u0301", 8) + "<U+0301><U+0301>k\u0301",
		strings.Repeat("\u200d", 9):                    strings.Repeat("\u200d", 8) + "<U+200D>",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzLine checks that a line shows everything that it has, stays what it is, and never hides that something was there.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "clean", "a\x1b[2J\r\n", "\u202e\u200b\U000e0041", "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "\xff\xc0\xaf", "\u009b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, Hidden) {
			t.Errorf("Line(%q) = %q", s, got)
		}
		if again := Line(got); again != got {
			t.Errorf("%q, twice: %q", got, again)
		}
		if utf8.RuneCountInString(got) < utf8.RuneCountInString(s) {
			t.Errorf("Line(%q) = %q has fewer characters", s, got)
		}
		marks := 0
		for _, r := range got {
			if marks++; !IsMark(r) {
				marks = 0
			}
			if marks > MaxMarks {
				t.Fatalf("Line(%q) = %q has %d marks on one character", s, got, marks)
			}
		}
	})
}
