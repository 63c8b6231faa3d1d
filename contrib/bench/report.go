package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is all that was measured.
type Report struct {
	Machine Machine   `json:"machine"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Quick   bool      `json:"quick"`
	Pairs   int       `json:"pairs"`
	Rows    []Outcome `json:"rows"`
}

// Outcome is what became of a row.
type Outcome struct {
	Row      string    `json:"row"`
	About    string    `json:"about"`
	Seconds  float64   `json:"seconds"`
	Measures []Measure `json:"measures,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
	NotHere  string    `json:"not_here,omitempty"` // why this host does not allow it
	Failed   string    `json:"failed,omitempty"`   // why it could not be measured
}

// failed says whether anything of it could not be measured.
func (o *Outcome) failed() bool {
	return o.Failed != "" || slices.ContainsFunc(o.Measures, func(m Measure) bool { return m.Failed != "" })
}

// cells are the lines of an outcome in a table of four columns: what, measured, aim, verdict.
func (o *Outcome) cells() (all [][4]string) {
	for i := range o.Measures {
		m := &o.Measures[i]
		all = append(all, [4]string{m.What, m.text(), m.Aim, m.verdict()})
	}
	if o.NotHere != "" {
		all = append(all, [4]string{"the row", "not measured here", "", oneLine(o.NotHere)})
	}
	if o.Failed != "" {
		all = append(all, [4]string{"the row", "FAILED", "", oneLine(o.Failed)})
	}
	return all
}

// table puts cells into columns.
func table(rows [][]string) (lines []string) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush()
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}

// lines are an outcome for who watches.
func (o *Outcome) lines() []string {
	var rows [][]string
	for _, c := range o.cells() {
		rows = append(rows, c[:])
	}
	lines := table(rows)
	for _, n := range o.Notes {
		lines = append(lines, "("+n+")")
	}
	return lines
}

// heading says what was measured where.
func (r *Report) heading() []string {
	sizes := "full sizes"
	if r.Quick {
		sizes = "-quick: small sizes, which say that it works and not how fast"
	}
	m := &r.Machine
	return []string{
		fmt.Sprintf("%s, %d cores, Linux %s, %s", m.CPU, m.Cores, m.Kernel, m.Go),
		fmt.Sprintf("data on %s, where fdatasync takes %s at the median", m.FileSystem, number(m.SyncMS, "ms")),
		fmt.Sprintf("%s, %s s in all; %s; comparisons in %d pairs: median (least to most)", r.Began.Format(time.RFC3339), number(r.Seconds, ""), sizes, r.Pairs),
	}
}

// print writes the table for people.
func (r *Report) print(out io.Writer) {
	for _, line := range r.heading() {
		fmt.Fprintln(out, line)
	}
	rows := [][]string{{"ROW", "WHAT", "MEASURED", "AIM"}}
	for i := range r.Rows {
		for _, c := range r.Rows[i].cells() {
			rows = append(rows, append([]string{r.Rows[i].Row}, c[:]...))
		}
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(table(rows), "\n"))
	r.eachNote(func(row, note string) { fmt.Fprintf(out, "%s: %s\n", row, note) })
}

func (r *Report) eachNote(f func(row, note string)) {
	for i := range r.Rows {
		for _, n := range r.Rows[i].Notes {
			f(r.Rows[i].Row, n)
		}
	}
}

// markdown writes the table for a page.
func (r *Report) markdown(out io.Writer) {
	for _, line := range r.heading() {
		fmt.Fprintf(out, "%s  \n", line)
	}
	fmt.Fprint(out, "\n| row | what | measured | aim | |\n| --- | --- | --- | --- | --- |\n")
	for i := range r.Rows {
		for _, c := range r.Rows[i].cells() {
			for j := range c {
				c[j] = strings.ReplaceAll(c[j], "|", `\|`)
			}
			fmt.Fprintf(out, "| %s | %s |\n", r.Rows[i].Row, strings.Join(c[:], " | "))
		}
	}
	fmt.Fprintln(out)
	r.eachNote(func(row, note string) { fmt.Fprintf(out, "- %s: %s\n", row, note) })
}

// save writes bench.json and bench.md.
func (r *Report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for the report: %w", err)
	}
	var object, page bytes.Buffer
	e := json.NewEncoder(&object)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	r.markdown(&page)
	for name, content := range map[string]*bytes.Buffer{"bench.json": &object, "bench.md": &page} {
		if err := os.WriteFile(filepath.Join(dir, name), content.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}
