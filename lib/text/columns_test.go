package text

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// kuhn is how wide a character is by Markus Kuhn's wcwidth, which most terminals have: an opinion that does not come from this package.
func kuhn(r rune) int {
	switch {
	case r == 0 || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) || r >= 0x1160 && r <= 0x11ff:
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf && r != 0x303f || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1f320 || r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}

// offset is at which column of a terminal the mark stands in the line.
func offset(line string, mark rune) int {
	column := 0
	for _, r := range line {
		if r == mark {
			return column
		}
		column += kuhn(r)
	}
	return -1
}

// TestColumnsStand prints random cells, made of what shifts columns, between others: whatever stands in a row, the next column begins where it does in
// the header.
func TestColumnsStand(t *testing.T) {
	parts := []string{"a", "Z", " ", "日", "한", "Ａ", "ﾊ", "é", "e\u0301", "\u0301", "\u0307\u0323", "\u200b", "\u200c", "\u200d", "\ufe0f", "\ufe0e", "\u00ad", "\u2060", "\ufeff",
		"\u202e", "\u2066", "\u061c", "\t", "\r", "\n", "\b", "\x1b[2C", "\x1b[31m", "\u009b3D", "\xff", "\U000e0041", "\u115f", "\u3164", "\u05d0", "\u0627\u0651", "\u0e19\u0e49",
		strings.Repeat("\u0300", 40), strings.Repeat("\u200d", 20), "日\u200d本", "a\ufe0f", "🌀a", "…", "\U0002000b", "\u0b95\u0bcd", "█"}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	text := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	for range 3000 {
		table := newTable([]column{{title: "A", free: true}, {title: "§"}, {title: "B", right: true}, {title: "¶"}}, Style{Width: 20 + random.IntN(100)})
		var out bytes.Buffer
		for range 6 {
			table.add(&out, []cell{freeText(text()), {"§", plain}, {oneLine(text()), plain}, {"¶", plain}})
		}
		table.end(&out)
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 7 {
			t.Fatalf("seed %d: %d lines of 7:\n%s", seed, len(lines), out.String())
		}
		for _, mark := range "§¶" {
			for _, line := range lines {
				if got, want := offset(line, mark), offset(lines[0], mark); got != want {
					t.Fatalf("seed %d: %c stands at column %d, in the header at %d: %q", seed, mark, got, want, line)
				}
			}
		}
	}
}

// FuzzWidth checks that what a cell takes is bounded, and that what is cut is not wider than it is to be.
func FuzzWidth(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, 7)
	}
	f.Add("a"+strings.Repeat("\u0301", 300), 1)
	f.Add(strings.Repeat("👩\u200d", 50), 9)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = max(0, min(width, 300))
		c := freeText(s)
		got := cut(c.text, width)
		if Width(got) > width || Width(c.text) > maxCell || len(c.text) > maxCell*4*(1+visible.MaxMarks) {
			t.Errorf("%q: cut to %d it is %q, %d wide; the cell has %d bytes, %d wide", s, width, got, Width(got), len(c.text), Width(c.text))
		}
		if Width(s) <= width && cut(s, width) != s {
			t.Errorf("%q fits in %d, and is cut", s, width)
		}
		sum := 0
		for rest := s; rest != ""; {
			n, w := glyph(rest)
			if n < 1 || n > len(rest) || w < 0 || w > 2 {
				t.Fatalf("%q: a character of %d bytes and %d columns", rest, n, w)
			}
			rest, sum = rest[n:], sum+w
		}
		if sum != Width(s) {
			t.Errorf("%q: %d wide, its characters %d", s, Width(s), sum)
		}
	})
}
