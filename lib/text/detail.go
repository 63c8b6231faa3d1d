package text

import "time"

// pair is a line of a detail: a key, and what stands behind it. Without a value the line is left out.
type pair struct {
	key, value string
	color      color
}

// block prints pairs, aligned for people.
func (p *Printer) block(pairs []pair) {
	widest := 0
	for _, l := range pairs {
		if l.value != "" && p.format == Table {
			widest = max(widest, len(l.key)+len(": "))
		}
	}
	for _, l := range pairs {
		if l.value != "" {
			p.line(pad(l.key+": ", widest, false) + p.style.paint(Sanitize(l.value), l.color))
		}
	}
}

// when is a time in a detail; "" when it is not known.
func (p *Printer) when(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case p.format == Text:
		return moment(t).text
	case p.style.Now.IsZero():
		return t.UTC().Format(time.DateTime) + " UTC"
	}
	return t.UTC().Format(time.DateTime) + " UTC (" + Ago(t, p.style.Now) + ")"
}

func (p *Printer) whenKnown(t *time.Time) string {
	if t == nil {
		return ""
	}
	return p.when(*t)
}
