package web

import (
	"slices"
	"strings"
	"testing"
)

func TestAcceptedShape(t *testing.T) {
	for accept, want := range map[string]string{
		"":                             "text/plain",
		"*/*":                          "text/plain",
		"application/json":             "application/json",
		"application/json, text/plain": "text/plain",
		"text/csv, text/plain;q=0.5":   "text/csv",
		"application/*":                "application/json",
		"text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8": "text/plain", // a browser
		"text/html, text/*;q=0.5, image/*, application/*":                    "text/plain", // w3m
		"application/json, text/html;q=0.5, text/plain;q=0.1":                "application/json",
		"application/json, text/html;q=0.1, */*;q=0.1":                       "application/json",
		"application/*, text/html;q=0, */*;q=0.1":                            "application/json",
		"text/html, application/json, text/plain;q=0":                        "application/json",
		"image/png": "",
	} {
		if s, err := accepted([]string{accept}); s.media != want || (err != nil) != (want == "") {
			t.Errorf("Accept: %s: %q, %v, want %q", accept, s.media, err, want)
		}
	}
}

// FuzzAccept checks that a type is liked between not at all and fully, and that who takes everything takes it.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"text/html,application/json;q=0.5", "*/*;q=NaN", "text/*;q=2, */*;q=-1", ";;;", "a/b;q=", "text/csv;q=\"0.3\"", strings.Repeat("a/b,", 1000), "\x00/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		ranges := parseAccept([]string{accept})
		for _, media := range []string{"text/plain", "application/json", "text/csv"} {
			if q := qualityOf(media, ranges); !(q >= 0 && q <= 1) {
				t.Fatalf("%q: %s is liked %v", accept, media, q)
			}
			kind, sub, _ := strings.Cut(media, "/")
			matches := func(r mediaRange) bool { return (r.kind == kind || r.kind == "*") && (r.sub == sub || r.sub == "*") }
			if q := qualityOf(media, ranges); q > 0 && !slices.ContainsFunc(ranges, matches) {
				t.Fatalf("%q: %s is liked %v, and not named", accept, media, q)
			}
			if q := qualityOf(media, append(ranges, mediaRange{kind, sub, 0})); q > 0 && !slices.ContainsFunc(ranges, func(r mediaRange) bool { return r.kind == kind && r.sub == sub }) {
				t.Fatalf("%q: %s is refused, and liked %v", accept, media, q)
			}
		}
	})
}
