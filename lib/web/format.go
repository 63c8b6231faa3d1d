package web

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/text"
)

// shape is how the text API answers.
type shape struct {
	media    string // what it is called in Accept
	format   text.Format
	document bool     // one JSON value in the envelope, not JSON lines
	columns  []string // in this order; nil: all
}

// shapes are what the text API can do, the one that it likes best first.
var shapes = []shape{
	{media: "text/plain", format: text.Text},
	{media: "text/csv", format: text.CSV},
	{media: "text/tab-separated-values", format: text.TSV},
	{media: "application/json", format: text.JSON, document: true},
	{media: "application/x-ndjson", format: text.JSON},
}

func (s *shape) contentType() string {
	if s.document {
		return "application/json"
	}
	return s.format.ContentType()
}

// shape is what the request asks for: by ?format= or by Accept.
func (q *query) shape(r *http.Request) shape {
	switch f := q.one("format"); text.Format(f) {
	case "":
		s, err := accepted(r.Header.Values("Accept"))
		if err != nil {
			q.fail(err)
		}
		return s
	case text.Text, text.CSV, text.TSV, text.JSON:
		return shape{format: text.Format(f)}
	default:
		q.fail(invalid("unknown format %.40q: one of text, csv, tsv, json", f))
		return shape{}
	}
}

// columns is which columns are wanted, of those that the noun has.
func (q *query) columns(noun string, f text.Format) (names []string) {
	known := text.Columns(noun)
	for _, name := range q.list("columns") {
		if !slices.Contains(known, name) {
			q.fail(invalid("unknown column %.40q: possible are %s", name, strings.Join(known, ", ")))
		}
		names = append(names, name)
	}
	if names != nil && f == text.JSON {
		q.fail(invalid("columns are of text, csv and tsv; of JSON /api/v1 gives some fields with ?fields="))
	}
	return names
}

// accepted chooses what the Accept headers like best.
func accepted(headers []string) (shape, error) {
	ranges := parseAccept(headers)
	if len(ranges) == 0 {
		return shapes[0], nil
	}
	best, quality := shape{}, 0.0
	for _, s := range shapes {
		if s.media != shapes[0].media && wouldRatherRead(ranges, s.media) {
			continue
		}
		if q := qualityOf(s.media, ranges); q > quality {
			best, quality = s, q
		}
	}
	if quality == 0 {
		return shape{}, refused(http.StatusNotAcceptable, "E_FORMAT", "there is text/plain, text/csv, text/tab-separated-values, "+
			"application/json and application/x-ndjson, or ?format=text, csv, tsv, json")
	}
	return best, nil
}

// mediaRange is a part of an Accept header.
type mediaRange struct {
	kind, sub string
	quality   float64
}

// wouldRatherRead says that somebody looks at pages, and did not name a type: the application/* of such a browser, as of w3m, is for what it hands on.
func wouldRatherRead(ranges []mediaRange, media string) bool {
	is := func(name string) func(mediaRange) bool {
		return func(r mediaRange) bool { return r.kind+"/"+r.sub == name && r.quality > 0 }
	}
	return slices.ContainsFunc(ranges, is("text/html")) && qualityOf("text/plain", ranges) > 0 && !slices.ContainsFunc(ranges, is(media))
}

func parseAccept(headers []string) (ranges []mediaRange) {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		kind, sub, ok := strings.Cut(media, "/")
		if err != nil || !ok {
			continue
		}
		q := 1.0
		if text, given := params["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		ranges = append(ranges, mediaRange{kind, sub, q})
	}
	return ranges
}

// qualityOf is how much a type is liked: the most exact range decides.
func qualityOf(media string, ranges []mediaRange) (quality float64) {
	kind, sub, _ := strings.Cut(media, "/")
	exactness := 0
	for _, r := range ranges {
		n := 0
		switch {
		case r.kind == kind && r.sub == sub:
			n = 3
		case r.kind == kind && r.sub == "*":
			n = 2
		case r.kind == "*" && r.sub == "*":
			n = 1
		}
		if n > exactness {
			exactness, quality = n, r.quality
		}
	}
	return quality
}
