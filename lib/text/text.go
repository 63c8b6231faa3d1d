// Package text owns everything that is printed: tables, pipe text, CSV, TSV, JSON lines, bars, sparklines, log lines;
// what a task or a device calls itself is escaped here, for where it is shown. It is for the rc- commands; its API may
// change in any release. Begin with Printer, for what a command prints, and TerminalWriter, for what a task printed.
package text

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Format is a way to print things.
type Format string

// The formats. Scripts rely on all but Table: columns are only ever added at the end.
const (
	Table Format = "table" // for people: aligned, cut to the terminal's width
	Text  Format = "text"  // one record a line, '|' between fields, no header
	JSON  Format = "json"  // one object a line, exact
	CSV   Format = "csv"   // RFC 4180, with a header
	TSV   Format = "tsv"   // with a header
)

// Formats lists every format.
var Formats = []Format{Table, Text, JSON, CSV, TSV}

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains(Formats, f) {
		return f, nil
	}
	return "", fmt.Errorf("unknown format %.40q: one of table, text, json, csv, tsv", s)
}

// UnmarshalText makes a Format a flag and a field of a configuration.
func (f *Format) UnmarshalText(b []byte) (err error) {
	*f, err = ParseFormat(string(b))
	return err
}

// ContentType is what HTTP calls the format.
func (f Format) ContentType() string {
	switch f {
	case JSON:
		return "application/x-ndjson"
	case CSV:
		return "text/csv; charset=utf-8"
	case TSV:
		return "text/tab-separated-values; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// Style says what a table may look like. The zero value is right for a file: 80 columns, no colour.
type Style struct {
	Width int       // columns of the terminal; 0: 80; negative: no limit
	Color bool      // whether it shows colours
	Now   time.Time // for "3m ago"; zero: times are printed as they are
}

func (s Style) width() int {
	switch {
	case s.Width == 0:
		return 80
	case s.Width < 0:
		return 1 << 30
	}
	return s.Width
}

// Printer prints the cluster's nouns in one format. A method may be called again with the next page: the header
// stands once. Flush ends the printing. A Printer is for one goroutine.
type Printer struct {
	w      io.Writer
	format Format
	style  Style
	out    bytes.Buffer // what the call under way has printed
	csv    *csv.Writer  // into out
	table  *table       // the one that is being printed, if any
	last   string       // the noun that was printed last
	picked []string     // columns of records; nil: all
	err    error        // the first error of w
}

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer, f Format, s Style) *Printer {
	p := &Printer{w: w, format: f, style: s}
	p.csv = csv.NewWriter(&p.out)
	return p
}

// Flush prints what a table still holds back to align it.
func (p *Printer) Flush() error {
	p.endTable()
	return p.write()
}

// noun is how pages of one noun are printed.
type noun[T any] struct {
	name    string
	fields  []string               // names of the record's fields
	record  func(*T) []field       // for scripts
	columns []column               // of the table
	row     func(*T, Style) []cell // for people
}

// printPage prints a page of things.
func printPage[T any](p *Printer, n *noun[T], things []T) error {
	begun := p.turnTo(n.name)
	switch {
	case p.format == Table && begun:
		p.table = newTable(n.columns, p.style)
	case begun:
		p.header(p.names(n.fields))
	}
	for i := range things {
		switch p.format {
		case Table:
			p.table.add(&p.out, n.row(&things[i], p.style))
		case JSON:
			p.object(&things[i])
		default:
			p.record(p.pick(n.fields, n.record(&things[i])))
		}
		if p.out.Len() > 64<<10 {
			p.write()
		}
	}
	return p.write()
}

// turnTo says whether the noun is another than that of the call before. In a table a blank line stands between the two.
func (p *Printer) turnTo(noun string) bool {
	if p.last == noun {
		return false
	}
	p.endTable()
	if p.format == Table && p.last != "" {
		p.out.WriteByte('\n')
	}
	p.last = noun
	return true
}

func (p *Printer) endTable() {
	if p.table != nil {
		p.table.end(&p.out)
		p.table = nil
	}
}

func (p *Printer) header(names []string) {
	switch p.format {
	case CSV:
		p.csvLine(names)
	case TSV:
		p.line(strings.Join(names, "\t"))
	}
}

// field is a field of a record; a number is never escaped.
type field struct {
	text   string
	number bool
}

// record prints a line for scripts.
func (p *Printer) record(fields []field) {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.text
		if !f.number {
			texts[i] = escape(p.format, f.text)
		}
	}
	switch p.format {
	case CSV:
		p.csvLine(texts)
	case TSV:
		p.line(strings.Join(texts, "\t"))
	default:
		p.line(strings.Join(texts, "|"))
	}
}

func escape(f Format, s string) string {
	switch f {
	case CSV:
		return csvField(s)
	case TSV:
		return tsvField(s)
	}
	return pipeField(s)
}

func (p *Printer) line(s string) {
	p.out.WriteString(s)
	p.out.WriteByte('\n')
}

func (p *Printer) csvLine(texts []string) {
	p.csv.Write(texts) // into a buffer, which takes everything
	p.csv.Flush()
}

// object prints a line of JSON. What could move a terminal's cursor is written as \uXXXX, which means the same.
func (p *Printer) object(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		p.fail(fmt.Errorf("print %s: %w", p.last, err))
		return
	}
	p.line(SafeJSON(strings.TrimSuffix(b.String(), "\n")))
}

func (p *Printer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// write hands on what the call has printed. After an error nothing more is written.
func (p *Printer) write() error {
	if p.err == nil && p.out.Len() > 0 {
		_, p.err = p.w.Write(p.out.Bytes())
	}
	p.out.Reset()
	return p.err
}
