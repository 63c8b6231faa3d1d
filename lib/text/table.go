package text

import (
	"bytes"
	"slices"
	"strings"
)

// column is a column of a table.
type column struct {
	title    string
	right    bool // numbers
	free     bool // free text: cut first when the line is too long
	optional bool // left out when nothing stands in it
	spare    int  // the line being still too long, the columns with the highest of these leave; 0: never
}

// cell is one field for people: safe to print.
type cell struct {
	text  string
	color color
}

// color is the parameter of an SGR sequence.
type color string

const (
	plain  color = ""
	bold   color = "1"
	dim    color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

func (s Style) paint(text string, c color) string {
	if !s.Color || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + resetSGR
}

const (
	maxHeld    = 1000 // rows that are held back to align them
	maxCell    = 200  // columns of a cell that may be free text
	freeWidth  = 12   // what free text is cut to at most, before other columns leave
	leastWidth = 4    // what any column is cut to at most
	gap        = "  "
)

// table aligns rows. It holds the first of them back until it knows how wide the columns are.
type table struct {
	columns []column
	style   Style
	rows    [][]cell
	widths  []int // 0: the column is left out; nil: not settled yet
}

func newTable(columns []column, s Style) *table { return &table{columns: columns, style: s} }

func (t *table) add(out *bytes.Buffer, row []cell) {
	if t.widths != nil {
		t.print(out, row)
		return
	}
	t.rows = append(t.rows, row)
	if len(t.rows) == maxHeld {
		t.settle(out, false)
	}
}

func (t *table) end(out *bytes.Buffer) {
	if t.widths == nil {
		t.settle(out, true)
	}
}

// settle fixes the widths and prints the header and what was held back. Only when the rows are complete can it be
// told which columns are empty.
func (t *table) settle(out *bytes.Buffer, complete bool) {
	t.widths = layout(t.columns, t.natural(complete), t.style.width())
	titles := make([]cell, len(t.columns))
	for i, c := range t.columns {
		titles[i] = cell{c.title, bold}
	}
	t.print(out, titles)
	for _, row := range t.rows {
		t.print(out, row)
	}
	t.rows = nil
}

// natural is how wide the columns would like to be.
func (t *table) natural(complete bool) []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		for _, row := range t.rows {
			widths[i] = max(widths[i], Width(row[i].text))
		}
		if widths[i] > 0 || !c.optional || !complete {
			widths[i] = max(widths[i], Width(c.title))
		}
	}
	return widths
}

func (t *table) print(out *bytes.Buffer, row []cell) {
	var line strings.Builder
	spaces := 0 // that are due before the next text
	for i, c := range row {
		if t.widths[i] == 0 {
			continue
		}
		text := cut(c.text, t.widths[i])
		after := t.widths[i] - Width(text)
		if t.columns[i].right {
			spaces, after = spaces+after, 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", spaces))
			line.WriteString(t.style.paint(text, c.color))
			spaces = 0
		}
		spaces += after + len(gap)
	}
	out.WriteString(line.String())
	out.WriteByte('\n')
}

// layout shares width among columns: free text is cut, then the columns that can be spared leave, then all are cut.
func layout(columns []column, natural []int, width int) []int {
	natural = slices.Clone(natural)
	for {
		widths := slices.Clone(natural)
		fits := shrink(widths, width, func(i int) bool { return columns[i].free && widths[i] > freeWidth })
		i := mostSpare(columns, natural)
		if !fits && i < 0 {
			shrink(widths, width, func(i int) bool { return widths[i] > leastWidth })
		}
		if fits || i < 0 {
			return widths
		}
		natural[i] = 0
	}
}

// shrink takes from the widest column that may give until the line fits, and says whether it does.
func shrink(widths []int, width int, gives func(int) bool) bool {
	for over := lineWidth(widths) - width; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if gives(i) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

func mostSpare(columns []column, widths []int) int {
	most := -1
	for i, c := range columns {
		if widths[i] > 0 && c.spare > 0 && (most < 0 || c.spare > columns[most].spare) {
			most = i
		}
	}
	return most
}

func lineWidth(widths []int) int {
	sum := -len(gap)
	for _, w := range widths {
		if w > 0 {
			sum += w + len(gap)
		}
	}
	return sum
}
