package text

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/visible"
)

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本語": 6, "한글": 4, "ﾊﾝ": 2, "Ａ": 2, "😀": 2, "❤": 1, "❤️": 2,
		"👍🏽": 2, "👩‍👩‍👧": 2, "🇩🇪🇫🇷": 4, "a\u200bb": 2, "…░█␛": 4, "\u0928\u093f": 2, "\xff": 1} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s     string
		width int
		want  string
	}{{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"},
		{"日本語", 4, "日…"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"👩‍👩‍👧👩‍👩‍👧", 3, "👩‍👩‍👧…"}} {
		if got := cut(c.s, c.width); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.s, c.width, got, c.want)
		}
	}
}

// nastyDevices and nastyTasks call themselves what they can.
func nastyDevices() (list []device.Device) {
	for _, s := range nasty {
		d := device.Device{ID: s, Status: device.Status(s), Reason: s, LastSeen: now}
		d.Profile.Info.Platform, d.Profile.Info.Role = s, s
		list = append(list, d)
	}
	return list
}

func nastyTasks() (list []task.Task) {
	for i, s := range nasty {
		payload, _ := json.Marshal(task.Command{Argv: []string{s, s}})
		list = append(list, task.Task{ID: task.ID(i), Device: s, Reason: s, Waiting: s, State: task.Queued,
			Spec: task.Spec{Type: "command", Name: s, Payload: payload}, Submitted: now})
		list = append(list, task.Task{ID: task.ID(i), State: task.Running, Spec: task.Spec{Type: s, Payload: []byte(`"` + s)}, Started: &now})
	}
	return list
}

func TestEveryLineHasEveryField(t *testing.T) {
	for _, f := range []Format{Text, TSV} {
		separator := map[Format]string{Text: "|", TSV: "\t"}[f]
		check := func(lines string, records, fields int) {
			t.Helper()
			list := strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
			if f == TSV {
				records++
			}
			if len(list) != records {
				t.Errorf("%s: %d lines for %d records", f, len(list), records)
			}
			for _, l := range list {
				if n := strings.Count(l, separator) + 1; n != fields {
					t.Errorf("%s: %d fields, want %d: %q", f, n, fields, l)
				}
			}
		}
		check(printed(t, f, Style{}, func(p *Printer) error { return p.Devices(nastyDevices()) }), len(nastyDevices()), 10)
		check(printed(t, f, Style{}, func(p *Printer) error { return p.Tasks(nastyTasks()) }), len(nastyTasks()), 13)
	}
	text := printed(t, CSV, Style{}, func(p *Printer) error { return p.Tasks(nastyTasks()) })
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // which counts the fields
	if err != nil || len(rows) != len(nastyTasks())+1 {
		t.Errorf("csv: %d rows, %v", len(rows), err)
	}
}

func TestTablesAreSafeAndFit(t *testing.T) {
	for _, width := range []int{30, 40, 60, 80, 100, 200} {
		for name, print := range map[string]func(*Printer) error{
			"devices": func(p *Printer) error { return p.Devices(nastyDevices()) },
			"tasks":   func(p *Printer) error { return p.Tasks(nastyTasks()) },
		} {
			s := printed(t, Table, Style{Width: width, Now: now}, print)
			lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
			if want := map[string]int{"devices": len(nasty) + 1, "tasks": 2*len(nasty) + 1}[name]; len(lines) != want {
				t.Errorf("%s, width %d: %d lines, want %d", name, width, len(lines), want)
			}
			for _, l := range lines {
				if strings.ContainsFunc(l, visible.Hidden) || Width(l) > width {
					t.Errorf("%s, width %d: %q is %d wide", name, width, l, Width(l))
				}
			}
		}
	}
}

func TestDetailsAreSafe(t *testing.T) {
	for _, f := range []Format{Table, Text} {
		for i, tk := range nastyTasks() {
			tk.Attempts = []task.Attempt{{Device: tk.Device, Reason: tk.Reason, Outcome: task.Outcome(tk.Reason)}}
			d := nastyDevices()[i/2]
			d.Profile.Tags, d.Profile.Hardware.GPU, d.Fingerprint = nasty, d.ID, d.ID
			s := printed(t, f, Style{}, func(p *Printer) error {
				if err := p.Task(tk); err != nil {
					return err
				}
				return p.Device(d, []task.Task{tk})
			})
			if strings.ContainsFunc(strings.ReplaceAll(s, "\n", ""), visible.Hidden) {
				t.Errorf("%s: %q", f, s)
			}
		}
	}
}

// TestHeaderOnce prints the same list in pages and at once.
func TestHeaderOnce(t *testing.T) {
	list := someTasks()
	for _, f := range Formats {
		once := printed(t, f, Style{Now: now}, func(p *Printer) error { return p.Tasks(list) })
		pages := printed(t, f, Style{Now: now}, func(p *Printer) error {
			for i := range list {
				if err := p.Tasks(list[i : i+1]); err != nil {
					return err
				}
			}
			return p.Tasks(nil)
		})
		if once != pages {
			t.Errorf("%s at once:\n%s\nin pages:\n%s", f, once, pages)
		}
	}
}

func TestEmptyListHasAHeader(t *testing.T) {
	for f, want := range map[Format]int{Table: 1, CSV: 1, TSV: 1, Text: 0, JSON: 0} {
		s := printed(t, f, Style{}, func(p *Printer) error { return p.Devices(nil) })
		if n := strings.Count(s, "\n"); n != want {
			t.Errorf("%s: %q", f, s)
		}
	}
}

func TestTwoNouns(t *testing.T) {
	both := func(p *Printer) error {
		if err := p.Tokens(someTokens()); err != nil {
			return err
		}
		return p.Status(someStatus())
	}
	if s := printed(t, Table, Style{}, both); !strings.Contains(s, "\n\nattic") || !strings.HasPrefix(s, "ID") {
		t.Errorf("%q", s)
	}
	if s := printed(t, Text, Style{}, both); strings.Contains(s, "\n\n") {
		t.Errorf("%q", s)
	}
}

// TestLongTablesStream says that a table holds back a bounded number of rows.
func TestLongTablesStream(t *testing.T) {
	var b bytes.Buffer
	p := NewPrinter(&b, Table, Style{Width: 60, Now: now})
	for i := range 3 * maxHeld {
		d := device.Device{ID: fmt.Sprintf("device-%d", i), Status: device.Online}
		if i > 2*maxHeld {
			d.ID = strings.Repeat("long-", 10)
		}
		if err := p.Devices([]device.Device{d}); err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(b.Bytes(), []byte("\n")); i+1 < maxHeld && lines != 0 || i+1 >= maxHeld && lines != i+2 {
			t.Fatalf("after %d rows %d lines", i+1, lines)
		}
	}
	p.Flush()
	for line := range strings.Lines(b.String()) {
		if Width(line)-1 > 60 {
			t.Fatalf("%q", line)
		}
	}
}

func TestLayoutFits(t *testing.T) {
	for range 1000 {
		columns, natural, least := make([]column, 1+rand.IntN(9)), []int(nil), 0
		for i := range columns {
			columns[i] = column{free: rand.IntN(3) == 0, spare: rand.IntN(4)}
			natural = append(natural, 1+rand.IntN(40))
			if columns[i].spare == 0 {
				least += leastWidth + len(gap)
			}
		}
		width := max(least, rand.IntN(200)) + leastWidth
		if got := lineWidth(layout(columns, natural, width)); got > width {
			t.Fatalf("%v of %v in %d: %d wide", columns, natural, width, got)
		}
	}
}

func TestBar(t *testing.T) {
	nan := 0.0
	nan /= nan
	for _, c := range []struct {
		f    float64
		want string
	}{{0, "░░░░░"}, {0.001, "█░░░░"}, {0.5, "███░░"}, {0.999, "████░"}, {1, "█████"}, {7, "█████"}, {-1, "░░░░░"}, {nan, "░░░░░"}} {
		if got := Bar(c.f, 5); got != c.want {
			t.Errorf("Bar(%v) = %q, want %q", c.f, got, c.want)
		}
	}
	if Bar(0.5, 0) != "" || Bar(0.5, -3) != "" || Bar(0.5, 1) == "" {
		t.Error("narrow bars")
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 8160437862: "7.6 GiB", 1<<20 - 1: "1.0 MiB",
		-2048: "-2.0 KiB", 1<<63 - 1: "8.0 EiB", -1 << 63: "-8.0 EiB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 1500: "1µs", 340 * time.Millisecond: "340ms", 2540 * time.Millisecond: "2.5s",
		9999 * time.Millisecond: "9.9s", 59999 * time.Millisecond: "59s", 125 * time.Second: "2m 5s", time.Hour: "1h 0m",
		15*day + 6*time.Hour + 42*time.Minute: "15d 6h 42m", 2 * day: "2d 0h 0m", -time.Second: "-1s", -1 << 63: "-0s"} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0m", 59 * time.Second: "0m", 42 * time.Minute: "42m", 6*time.Hour + 42*time.Minute: "6h 42m", -5: "0m"} {
		if got := Uptime(d); got != want {
			t.Errorf("Uptime(%d) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Hour: "now", 0: "now", 3 * time.Second: "3s ago", 3 * time.Minute: "3m ago", 47 * time.Hour: "1d ago"} {
		if got := Ago(now.Add(-d), now); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
	if Ago(time.Time{}, now) != "never" {
		t.Error("the zero time was never")
	}
}

func TestRuns(t *testing.T) {
	for _, c := range []struct{ kind, payload, want string }{
		{"command", `{"argv":["echo","it's","a b",""]}`, `echo 'it'\''s' 'a b' ''`},
		{"shell", `{"script":"\n\nmake\nmake install\n"}`, "make␊make install"},
		{"echo", `{"message":"hi"}`, "hi"},
		{"sleep", `{"seconds":2.5}`, "2.5s"},
		{"sleep", `{"seconds":1e300}`, "106751d 23h 47m"},
		{"http_request", `{"url":"https://example.org/","method":"POST"}`, "POST https://example.org/"},
		{"system_info", `{}`, ""},
		{"render", `{"frame":7}`, `{"frame":7}`},
		{"command", `{"argv":7}`, ""},
		{"command", ``, ""},
	} {
		if got := Runs(&task.Spec{Type: c.kind, Payload: json.RawMessage(c.payload)}); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.kind, c.payload, got, c.want)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats {
		if got, err := ParseFormat(string(f)); got != f || err != nil || f.ContentType() == "" {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is a format")
	}
	var f Format
	if err := f.UnmarshalText([]byte("csv")); f != CSV || err != nil {
		t.Error(f, err)
	}
}
