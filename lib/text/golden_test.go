package text

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// TestGolden compares what every noun looks like in every format with testdata.
func TestGolden(t *testing.T) {
	nouns := map[string]func(*Printer) error{
		"devices": func(p *Printer) error { return p.Devices(someDevices()) },
		"tasks":   func(p *Printer) error { return p.Tasks(someTasks()) },
		"events":  func(p *Printer) error { return p.Events(someEvents()) },
		"tokens":  func(p *Printer) error { return p.Tokens(someTokens()) },
		"status":  func(p *Printer) error { return p.Status(someStatus()) },
		"device":  func(p *Printer) error { return p.Device(someDevices()[0], someTasks()[:1]) },
		"task":    func(p *Printer) error { return p.Task(someTasks()[2]) },
	}
	for name, print := range nouns {
		for _, f := range Formats {
			golden(t, name+"."+string(f), f, Style{Now: now}, print)
		}
		for _, width := range []int{40, 120} {
			golden(t, name+"."+strconv.Itoa(width), Table, Style{Now: now, Width: width}, print)
		}
		golden(t, name+".color", Table, Style{Now: now, Width: 100, Color: true}, print)
	}
}

func golden(t *testing.T, name string, f Format, s Style, print func(*Printer) error) {
	t.Helper()
	got := []byte(printed(t, f, s, print))
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func printed(t *testing.T, f Format, s Style, print func(*Printer) error) string {
	t.Helper()
	var b bytes.Buffer
	p := NewPrinter(&b, f, s)
	if err := print(p); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
