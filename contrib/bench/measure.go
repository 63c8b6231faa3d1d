package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Figure is what was measured: once, or the median of several with the least and the most of them.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Of    int     `json:"of"` // how many were measured
}

func once(v float64) Figure { return Figure{v, v, v, 1} }

// Measure is a figure of a row beside its aim.
type Measure struct {
	What string `json:"what"`
	Figure
	Unit string `json:"unit,omitempty"`
	Aim  string `json:"aim,omitempty"` // ">= 1", "<= 20 ms"; empty: it is told beside the others
	Met  *bool  `json:"met,omitempty"` // whether the aim is

	Failed string `json:"failed,omitempty"` // why it could not be measured
}

// tell notes a figure that has no aim.
func (r *run) tell(what string, f Figure, unit string) {
	r.measures = append(r.measures, Measure{What: what, Figure: f, Unit: unit})
}

func (r *run) atLeast(what string, f Figure, unit string, aim float64) {
	r.aim(what, f, unit, ">=", aim, f.Value >= aim)
}

func (r *run) atMost(what string, f Figure, unit string, aim float64) {
	r.aim(what, f, unit, "<=", aim, f.Value <= aim)
}

func (r *run) aim(what string, f Figure, unit, sign string, aim float64, met bool) {
	r.measures = append(r.measures, Measure{What: what, Figure: f, Unit: unit, Aim: sign + " " + number(aim, unit), Met: &met})
}

// isTrue notes something that is so or is not.
func (r *run) isTrue(what string, is bool) {
	value := 0.0
	if is {
		value = 1
	}
	r.measures = append(r.measures, Measure{What: what, Figure: once(value), Unit: "yes", Aim: "yes", Met: &is})
}

// fail notes that something could not be measured, which keeps the rest of the row from nothing.
func (r *run) fail(what string, err error) {
	r.measures = append(r.measures, Measure{What: what, Failed: err.Error()})
}

// text is the figure with its spread and its unit.
func (m *Measure) text() string {
	if m.Failed != "" {
		return "FAILED"
	}
	if m.Of == 1 || m.Low == m.High {
		return number(m.Value, m.Unit)
	}
	return fmt.Sprintf("%s (%s to %s)", number(m.Value, m.Unit), number(m.Low, ""), number(m.High, ""))
}

func (m *Measure) verdict() string {
	switch {
	case m.Failed != "":
		return oneLine(m.Failed)
	case m.Met == nil:
		return ""
	case *m.Met:
		return "met"
	}
	return "NOT MET"
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// number writes a number as short as it may be read. Of those above a hundred nobody wants the decimals.
func number(v float64, unit string) string {
	text := strconv.FormatFloat(v, 'g', 3, 64)
	if math.Abs(v) >= 100 {
		text = thousands(int64(math.Round(v)))
	}
	switch unit {
	case "":
		return text
	case "yes":
		return map[bool]string{true: "yes", false: "no"}[v != 0]
	case "/s":
		return text + "/s"
	}
	return text + " " + unit
}

func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
