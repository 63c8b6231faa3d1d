package text

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile is an output of testdata/hostile: a comment that says what it does, the output in Go's quotes, and what each form of it is to be.
type hostile struct {
	name, comment string
	output        string
	want          map[string]string // by the name of the form
}

// piece is a part of an output: a quoted text, and how many times it stands there.
var piece = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*")(?:\*(\d+))?`)

func readHostile(t *testing.T) (all []*hostile) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "hostile", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h := &hostile{name: strings.TrimSuffix(filepath.Base(file), ".txt"), want: map[string]string{}}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch {
			case strings.HasPrefix(line, "#"):
				h.comment += line
			case key == "output":
				h.output = unquote(t, file, value)
			default:
				h.want[key] = value
			}
		}
		if h.comment == "" || h.output == "" {
			t.Fatalf("%s: has no comment or no output", file)
		}
		all = append(all, h)
	}
	if len(all) < 44 {
		t.Fatalf("%d outputs", len(all))
	}
	return all
}

func unquote(t *testing.T, file, value string) string {
	var b strings.Builder
	for value != "" {
		m := piece.FindStringSubmatch(value)
		if m == nil {
			t.Fatalf("%s: %.40q is no quoted text", file, value)
		}
		s, err := strconv.Unquote(m[1])
		if err != nil {
			t.Fatalf("%s: %s: %v", file, m[1], err)
		}
		n, _ := strconv.Atoi(m[2])
		b.WriteString(strings.Repeat(s, max(n, 1)))
		value = value[len(m[0]):]
	}
	return b.String()
}

// form is a way in which an output is shown or passed on.
type form struct {
	name   string
	escape func(*testing.T, string) string
	back   func(string) (string, error) // what who parses it reads; by no code of this package. nil: it is to be looked at
	plain  func(string) string          // what it would be if nothing were escaped
}

var page = template.Must(template.New("").Parse(`<td title="{{.}}">{{.}}</td>`))

var forms = []form{
	{"terminal", func(t *testing.T, s string) string { return shown(t, s) }, nil, nil},
	{"line", func(_ *testing.T, s string) string { return Sanitize(s) }, nil, nil},
	{"cell", func(_ *testing.T, s string) string { return freeText(s).text }, nil, nil},
	{"pipe", func(t *testing.T, s string) string { return oneRecord(t, Text, s) }, func(s string) (string, error) {
		fields := strings.Split(strings.TrimSuffix(s, "\n"), "|")
		if len(fields) != 3 {
			return "", fmt.Errorf("%d fields", len(fields))
		}
		return url.PathUnescape(fields[1])
	}, func(s string) string { return "before|" + s + "|-1.5\n" }},
	{"tsv", func(t *testing.T, s string) string { return oneRecord(t, TSV, s) }, func(s string) (back string, err error) {
		fields := strings.Split(strings.TrimSuffix(s, "\n"), "\t")
		if len(fields) != 3 {
			return "", fmt.Errorf("%d fields", len(fields))
		}
		err = json.Unmarshal([]byte(`"`+strings.ReplaceAll(fields[1], `"`, `\"`)+`"`), &back)
		return back, err
	}, func(s string) string { return "before\t" + s + "\t-1.5\n" }},
	{"csv", func(t *testing.T, s string) string { return oneRecord(t, CSV, s) }, func(s string) (string, error) {
		rows, err := csv.NewReader(strings.NewReader(s)).ReadAll()
		if err != nil || len(rows) != 1 || len(rows[0]) != 3 {
			return "", fmt.Errorf("%d rows, %w", len(rows), err)
		}
		return rows[0][1], nil
	}, func(s string) string { return "before," + s + ",-1.5\n" }},
	{"json", func(t *testing.T, s string) string { return oneObject(t, s) }, func(s string) (string, error) { return nameIn(s) },
		func(s string) string { return `{"name":"` + s + `"}` + "\n" }},
	{"sse", func(t *testing.T, s string) string { return "event: task\ndata: " + oneObject(t, s) + "\n" }, func(s string) (string, error) {
		events := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n\n") // as the standard has it
		if len(events) != 2 || events[1] != "" {
			return "", fmt.Errorf("%d events", len(events))
		}
		lines := strings.Split(events[0], "\n")
		if len(lines) != 2 {
			return "", fmt.Errorf("%d lines", len(lines))
		}
		return nameIn(strings.TrimPrefix(lines[1], "data: "))
	}, func(s string) string { return "event: task\ndata: {\"name\":\"" + s + "\"}\n\n" }},
	{"html", func(t *testing.T, s string) string {
		var b strings.Builder
		if err := page.Execute(&b, Sanitize(s)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}, func(s string) (string, error) {
		m := regexp.MustCompile(`^<td title="([^"<>]*)">([^<>]*)</td>$`).FindStringSubmatch(s)
		if m == nil || html.UnescapeString(m[1]) != html.UnescapeString(m[2]) {
			return "", fmt.Errorf("not one cell: %.200q", s)
		}
		return html.UnescapeString(m[2]), nil
	}, func(s string) string { return `<td title="` + s + `">` + s + "</td>" }},
}

func oneRecord(t *testing.T, f Format, s string) string {
	return printed(t, f, Style{}, func(p *Printer) error {
		p.record([]field{str("before"), str(s), {"-1.5", true}})
		return p.write()
	})
}

func oneObject(t *testing.T, s string) string {
	return printed(t, JSON, Style{}, func(p *Printer) error {
		p.object(struct {
			Name string `json:"name"`
		}{s})
		return p.write()
	})
}

func nameIn(s string) (string, error) {
	var back struct{ Name string }
	err := json.Unmarshal([]byte(s), &back)
	return back.Name, err
}

// kept is what a form keeps of an output. CSV and HTML keep what it looks like; readers of CSV read a line end as \n.
func kept(form, output string) string {
	switch form {
	case "csv":
		s := csvField(output)
		return strings.ReplaceAll(s, "\r\n", "\n")
	case "html":
		return Sanitize(output)
	}
	return valid(output)
}

// TestHostile shows every output in every form: as the file says, and so that who parses it reads what was printed, and nothing else.
func TestHostile(t *testing.T) {
	for _, h := range readHostile(t) {
		for _, f := range forms {
			got := f.escape(t, h.output)
			if *update {
				h.want[f.name] = brief(got)
			} else if brief(got) != h.want[f.name] {
				t.Errorf("%s, %s: %s, want %s", h.name, f.name, brief(got), h.want[f.name])
			}
			limit := maxLine
			if f.name != "terminal" {
				limit = 1 << 30
			}
			if v := violations(fitting(f.name, got), limit); len(v) > 0 {
				t.Errorf("%s, %s: %q", h.name, f.name, v)
			}
			if f.back == nil {
				continue
			}
			if back, err := f.back(got); err != nil || back != kept(f.name, h.output) {
				t.Errorf("%s, %s: read back as %.200q, %v", h.name, f.name, back, err)
			}
		}
		if *update {
			h.write(t)
		}
		var b bytes.Buffer
		w := NewTerminalWriter(&b)
		for i := range len(h.output) {
			w.Write([]byte{h.output[i]})
		}
		w.Close()
		if b.String() != shown(t, h.output) {
			t.Errorf("%s, byte by byte: %.200q", h.name, b.String())
		}
	}
}

// fitting is a form without the line ends that it has by right.
func fitting(form, s string) string {
	switch form {
	case "csv": // within quotes they stay
		return strings.ReplaceAll(s, "\r", "")
	case "terminal":
		return s
	}
	return strings.TrimSuffix(s, "\n")
}

func brief(s string) string {
	if len(s) <= 600 {
		return strconv.QuoteToGraphic(s)
	}
	return fmt.Sprintf("%+q … %+q, %d bytes, SHA-256 %x", s[:40], s[len(s)-40:], len(s), sha256.Sum256([]byte(s)))
}

func (h *hostile) write(t *testing.T) {
	file := filepath.Join("testdata", "hostile", h.name+".txt")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "output: ") {
			out.WriteString(line)
		}
	}
	for _, f := range forms {
		out.WriteString(f.name + ": " + h.want[f.name] + "\n")
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// forbidden says what never reaches a terminal, by name. It knows nothing of this package's own tables.
var forbidden = []struct {
	what   string
	lo, hi rune
}{
	{"a control of C0", 0, 0x08}, {"a control of C0", 0x0b, 0x1a}, {"a control of C0", 0x1c, 0x1f}, {"a control of C0", 0x7f, 0x7f},
	{"a control of C1", 0x80, 0x9f}, {"a line separator", 0x2028, 0x2029},
	{"writing direction", 0x61c, 0x61c}, {"writing direction", 0x200e, 0x200f}, {"writing direction", 0x202a, 0x202e}, {"writing direction", 0x2066, 0x2069},
	{"no width", 0xad, 0xad}, {"no width", 0x180e, 0x180e}, {"no width", 0x200b, 0x200b}, {"no width", 0x2060, 0x2064}, {"no width", 0x206a, 0x206f},
	{"no width", 0xfeff, 0xfeff}, {"no width", 0xfff9, 0xfffb},
	{"a blank letter", 0x115f, 0x1160}, {"a blank letter", 0x3164, 0x3164}, {"a blank letter", 0xffa0, 0xffa0},
	{"a tag", 0xe0000, 0xe007f},
}

// actions are the forbidden characters of a text, and marks in piles.
func actions(text string) (found []string) {
	seen, marks := map[string]bool{}, 0
	for _, r := range text {
		if r >= ' ' && r < 0x7f {
			marks = 0
			continue
		}
		what := ""
		for _, f := range forbidden {
			if r >= f.lo && r <= f.hi {
				what = f.what
			}
		}
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) && r != 0x200c && r != 0x200d {
			marks = 0
		}
		if marks > 8 {
			what = "a pile of marks"
		}
		if what != "" && !seen[what] {
			seen[what] = true
			found = append(found, fmt.Sprintf("%s: %U", what, r))
		}
	}
	return found
}

// violations is what a terminal would be made to do by text that is only to be read, of which no line is to be longer than limit.
func violations(out string, limit int) (found []string) {
	if !utf8.ValidString(out) {
		found = append(found, "bytes that are not UTF-8")
	}
	found = append(found, actions(out)...)
	for rest := out; ; {
		i := strings.IndexByte(rest, 0x1b)
		if i < 0 {
			break
		}
		rest = rest[i:]
		m := allowedSGR.FindStringSubmatch(rest)
		if m == nil {
			found = append(found, fmt.Sprintf("a sequence: %+.20q", rest))
			rest = rest[1:]
			continue
		}
		if why := wrongSGR(m[1]); why != "" {
			found = append(found, fmt.Sprintf("%s: %+q", why, m[0]))
		}
		rest = rest[len(m[0]):]
	}
	const mark = len("… (1234567890 bytes more)")
	for line := range strings.Lines(out) {
		if n := len(anySGR.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")); n > limit+mark {
			found = append(found, fmt.Sprintf("a line of %d bytes", n))
		}
	}
	return found
}

var (
	allowedSGR = regexp.MustCompile(`^\x1b\[([0-9;:]*)m`)
	anySGR     = regexp.MustCompile(`\x1b\[[0-9;:]*m`)
)

// wrongSGR says what is wrong with the parameters of an SGR sequence.
func wrongSGR(parameters string) string {
	numbers := strings.FieldsFunc(strings.ReplaceAll(parameters, ";;", ";0;"), func(r rune) bool { return r == ';' || r == ':' })
	if len(numbers) > 16 {
		return "many parameters"
	}
	for i := 0; i < len(numbers); i++ {
		n, err := strconv.Atoi(numbers[i])
		switch {
		case err != nil || n > 255:
			return "a large number"
		case n == 38 || n == 48 || n == 58: // of a colour the numbers mean nothing by themselves
			i += len(numbers)
			if !wholeColour.MatchString(parameters) {
				return "half a colour"
			}
		case n == 8:
			return "hidden text"
		case n >= 10 && n <= 20:
			return "another font"
		}
	}
	return ""
}

var wholeColour = regexp.MustCompile(`^([0-7][;:])*[345]8([;:]5[;:]\d{1,3}|[;:]2([;:]\d{0,3}){3,5})([;:]([0-79]|2[1-9]|[345]8[;:]5[;:]\d{1,3}|[345]8[;:]2([;:]\d{1,3}){3}))*$`)

// TestHostileUnescaped is the control: without the escaping the checks of TestHostile find something wrong with every output that is there for a terminal,
// and with some in each other form.
func TestHostileUnescaped(t *testing.T) {
	broken := map[string]int{}
	for _, h := range readHostile(t) {
		found := violations(h.output, maxLine)
		if harmless := h.want["terminal"] == brief(h.output); harmless != (len(found) == 0) {
			t.Errorf("%s: what is wrong with it unescaped: %q; it stays as it is: %v", h.name, found, harmless)
		}
		if len(found) > 0 {
			broken["terminal"]++
		}
		for _, f := range forms {
			if f.back == nil {
				continue
			}
			if back, err := f.back(f.plain(h.output)); err != nil || back != kept(f.name, h.output) || len(violations(fitting(f.name, f.plain(h.output)), 1<<30)) > 0 {
				broken[f.name]++
			}
		}
	}
	for form, least := range map[string]int{"terminal": 35, "pipe": 35, "tsv": 35, "csv": 35, "json": 35, "sse": 35, "html": 35} {
		if broken[form] < least {
			t.Errorf("%s: of the outputs only %d do harm unescaped", form, broken[form])
		}
	}
}
