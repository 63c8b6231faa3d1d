package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// chart is lines over time, as SVG, and the same as a table.
type chart struct {
	ID, Title, Unit string
	Lines           []chartLine
	Ticks           []string // of the height, the highest first
	Times           []string // of the width
	Table           []chartRow
	Empty           bool // nothing is known
}

// chartLine is one line: where something is not known it is broken.
type chartLine struct {
	Name, Kind, Now string
	Pieces          []string // points of polylines
}

type chartRow struct {
	Time   string
	Values []string
}

// The units of a chart's image, which is stretched to where it stands.
const (
	chartWidth  = 600
	chartHeight = 100
	sparkWidth  = historyPoints/sparkEvery - 1
	sparkHeight = 24
	sparkEvery  = 3 // values a point
	tableRows   = 12
)

// chartOf draws series, whose names, kinds and values are given. Where top is 0 the chart is as high as its values.
func chartOf(id, title, unit string, top float64, w *window, lines []chartLine, values [][]float32) *chart {
	c := &chart{ID: id, Title: title, Unit: unit, Lines: lines, Empty: true}
	if top == 0 {
		top = niceTop(highest(values))
	}
	for _, part := range []float64{1, 0.5, 0} {
		c.Ticks = append(c.Ticks, amount(float32(part*top)))
	}
	for part := 3; part > 0; part-- {
		c.Times = append(c.Times, "−"+shortTime(w.back*time.Duration(part)/3))
	}
	c.Times = append(c.Times, "now")
	for i := range c.Lines {
		c.Lines[i].Pieces = polylines(values[i], top, chartWidth, chartHeight, 1)
		c.Lines[i].Now = amount(newestOf(values[i]))
		c.Empty = c.Empty && len(c.Lines[i].Pieces) == 0
	}
	c.Table = tableOf(w, values)
	return c
}

// tableOf are the values at a few times, the newest first.
func tableOf(w *window, values [][]float32) (rows []chartRow) {
	step := historyPoints / tableRows
	for at := historyPoints; at > 0; at -= step {
		row := chartRow{Time: "−" + shortTime(w.back*time.Duration(historyPoints-at)/historyPoints)}
		if at == historyPoints {
			row.Time = "now"
		}
		for _, v := range values {
			row.Values = append(row.Values, amount(meanOf(v[at-step:at])))
		}
		rows = append(rows, row)
	}
	return rows
}

// polylines are the points of the lines that join what is known, with so many digits after the point. A value alone is a short line.
func polylines(values []float32, top, width, height float64, digits int) (pieces []string) {
	var b strings.Builder
	step := width / float64(max(len(values)-1, 1))
	for i := 0; i <= len(values); i++ {
		if i < len(values) && isKnown(values[i]) {
			y := height - min(max(float64(values[i])/top, 0), 1)*height
			fmt.Fprintf(&b, "%s,%s ", coordinate(float64(i)*step, digits), coordinate(y, digits))
			if last := i+1 == len(values) || !isKnown(values[i+1]); last && !strings.Contains(strings.TrimSuffix(b.String(), " "), " ") {
				fmt.Fprintf(&b, "%s,%s ", coordinate(math.Abs(float64(i-1))*step, digits), coordinate(y, digits))
			}
			continue
		}
		if b.Len() > 0 {
			pieces = append(pieces, strings.TrimSuffix(b.String(), " "))
			b.Reset()
		}
	}
	return pieces
}

func coordinate(v float64, digits int) string {
	unit := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(v*unit)/unit, 'f', -1, 64)
}

// spark is a small line without axes, and what it says in words.
type spark struct {
	Label  string
	Pieces []string
}

// sparkOf draws a series between 0 and top; nil: nothing is known.
func sparkOf(what, unit string, top float64, values []float32) *spark {
	var few []float32
	for i := 0; i+sparkEvery <= len(values); i += sparkEvery {
		few = append(few, meanOf(values[i:i+sparkEvery]))
	}
	pieces := polylines(few, top, sparkWidth, sparkHeight, 0)
	if len(pieces) == 0 {
		return nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range few {
		if isKnown(v) {
			low, high = min(low, float64(v)), max(high, float64(v))
		}
	}
	return &spark{fmt.Sprintf("%s over the last 30 minutes: %.0f to %.0f%s", what, low, high, unit), pieces}
}

func meanOf(values []float32) float32 {
	sum, known := float32(0), float32(0)
	for _, v := range values {
		if isKnown(v) {
			sum, known = sum+v, known+1
		}
	}
	return sum / known
}

func newestOf(values []float32) float32 {
	for i := len(values) - 1; i >= max(len(values)-3, 0); i-- {
		if isKnown(values[i]) {
			return values[i]
		}
	}
	return unknown
}

func highest(series [][]float32) (most float64) {
	for _, values := range series {
		for _, v := range values {
			if isKnown(v) {
				most = max(most, float64(v))
			}
		}
	}
	return most
}

// niceTop is a round number that is not less.
func niceTop(v float64) float64 {
	if v <= 2 {
		return 2
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, times := range []float64{1, 2, 4, 6, 8} {
		if times*power >= v {
			return times * power
		}
	}
	return 10 * power
}

// amount prints a value: the larger, the shorter.
func amount(v float32) string {
	switch {
	case !isKnown(v):
		return "–"
	case v >= 10_000:
		return strconv.FormatFloat(float64(v)/1000, 'f', 0, 64) + "k"
	case v >= 10:
		return strconv.FormatFloat(float64(v), 'f', 0, 64)
	}
	return strconv.FormatFloat(math.Round(float64(v)*10)/10, 'f', -1, 64)
}

// shortTime prints whole minutes, or hours.
func shortTime(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	if d >= time.Hour {
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return strconv.FormatFloat(d.Minutes(), 'f', -1, 64) + " min"
}
