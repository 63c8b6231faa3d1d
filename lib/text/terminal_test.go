package text

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// shown is what a terminal gets of output that comes in the pieces given.
func shown(t *testing.T, pieces ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := NewTerminalWriter(&b)
	for _, p := range pieces {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", p, n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTerminalWriter(t *testing.T) {
	sixteen := "\x1b[" + strings.Repeat("1;", 15) + "1m"
	for in, want := range map[string]string{
		"one\n\ttwo\n":                                                  "one\n\ttwo\n",
		"50%\r100%":                                                     "50%␍100%",
		"\x1b[1;31mred\x1b[0m\n":                                        "\x1b[1;31mred\x1b[0m\n",
		"\x1b[38:2::1:2:3mrgb\x1b[m":                                    "\x1b[38:2::1:2:3mrgb\x1b[m",
		"\x1b[32mgreen":                                                 "\x1b[32mgreen\x1b[0m",
		sixteen + "x\x1b[m":                                             sixteen + "x\x1b[m",
		"\x1b[1;" + sixteen[2:] + "x":                                   "␛[1;" + sixteen[2:] + "x",
		"\x1b[8mhidden\x1b[0;1;8;31mpart\x1b[m":                         "hidden\x1b[0;1;31mpart\x1b[m",
		"\x1b[08mx\x1b[8;my\x1b[264mz":                                  "x\x1b[my" + "z",
		"\x1b[4294967304m\x1b[11m\x1b[12mx":                             "x",
		"\x1b[38;5;8mgrey\x1b[48;2;8;8;8;1mx\x1b[m":                     "\x1b[38;5;8mgrey\x1b[48;2;8;8;8;1mx\x1b[m",
		"\x1b[38;8mx\x1b[1;38;2;8mx\x1b[38;5;256;8mx":                   "x\x1b[1mxx\x1b[0m",
		"\x1b[38:5:8;4:3mx\x1b[4:8mx\x1b[8:1mx\x1b[m":                   "\x1b[38:5:8;4:3mxxx\x1b[m",
		"o\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\x1b[m\u0301": "o\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\x1b[m<U+0301>",
		"\x1b[2J\x1b[H":                                                 "␛[2J␛[H",
		"\x1b[?25m\x1b[>4m":                                             "␛[?25m␛[>4m",
		"\x1b]0;title\x07":                                              "␛]0;title␇",
		"\x1b\x1b[31m":                                                  "␛\x1b[31m\x1b[0m",
		"\x1b[\xff":                                                     "␛[\ufffd",
		"\x1b[3":                                                        "␛[3",
		"\u009b31m\u202e":                                               "<U+009B>31m<U+202E>",
		"日\xe6\x97":                                                     "日\ufffd\ufffd",
		"\x1b[" + strings.Repeat("0", 200) + "m":                        "␛[" + strings.Repeat("0", 200) + "m",
	} {
		if got := shown(t, in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

var sequence = regexp.MustCompile(`\x1b\[[0-9:;]*m`)

func FuzzTerminalWriter(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, 3, 7)
	}
	f.Fuzz(func(t *testing.T, s string, i, j int) {
		whole := shown(t, s)
		i = max(0, min(i, len(s)))
		j = max(i, min(j, len(s)))
		if got := shown(t, s[:i], s[i:j], s[j:]); got != whole {
			t.Errorf("%q in pieces %d %d: %q, whole %q", s, i, j, got, whole)
		}
		if again := shown(t, whole); again != whole && !strings.Contains(whole, "bytes more)") {
			t.Errorf("%q twice: %q, then %q", s, whole, again)
		}
		rest := strings.NewReplacer("\n", "", "\t", "").Replace(sequence.ReplaceAllString(whole, ""))
		if strings.ContainsFunc(rest, visible.Hidden) {
			t.Errorf("%q is shown as %q", s, whole)
		}
	})
}

func TestTerminalWriterByteByByte(t *testing.T) {
	for _, s := range nasty {
		if got, want := shown(t, strings.Split(string([]byte(s)), "")...), shown(t, s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
		var b bytes.Buffer
		w := NewTerminalWriter(&b)
		for i := range len(s) {
			w.Write([]byte{s[i]})
		}
		w.Close()
		if got, want := b.String(), shown(t, s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrors(t *testing.T) {
	if _, err := NewTerminalWriter(broken{}).Write([]byte("x")); err != errBroken {
		t.Error(err)
	}
	p := NewPrinter(broken{}, Text, Style{})
	for range 2 {
		if err := p.Devices(someDevices()); err != errBroken {
			t.Error(err)
		}
	}
	if err := p.Flush(); err != errBroken {
		t.Error(err)
	}
}

func TestLongLines(t *testing.T) {
	full := strings.Repeat("x", maxLine)
	for in, want := range map[string]string{
		full + "\nnext":                      full + "\nnext",
		full + "y\nnext":                     full + "… (1 bytes more)\nnext",
		full + "é\xff\x1b[2J":                full + "… (7 bytes more)",
		"\x1b[31m" + full + "yy\x1b[m\nnext": "\x1b[31m" + full + "…\x1b[m (2 bytes more)\nnext",
		full[1:] + "é":                       full[1:] + "… (2 bytes more)",
		strings.Repeat("\x00", maxLine):      strings.Repeat("␀", maxLine/3) + fmt.Sprintf("… (%d bytes more)", maxLine-maxLine/3),
		strings.Repeat("x\n", maxLine):       strings.Repeat("x\n", maxLine),
	} {
		if got := shown(t, in); got != want {
			t.Errorf("%.20q (%d bytes) is shown as %.20q…%q, want …%q", in, len(in), got, got[max(0, len(got)-40):], want[max(0, len(want)-40):])
		}
		var b bytes.Buffer
		w := NewTerminalWriter(&b)
		for i := range len(in) {
			w.Write([]byte{in[i]})
		}
		if w.Close(); b.String() != want {
			t.Errorf("%.20q byte by byte: …%q", in, b.String()[max(0, b.Len()-40):])
		}
	}
}
