package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckJSON(t *testing.T) {
	long := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"f%d":0`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for text, want := range map[string]string{
		`{}`: "", ` [1, -2.5e3, "a\u00e9\n", true, false, null, {"a":{"b":[]}}] `: "",
		`{"role":"read","ROLE":"admin"}`:                              "byte 15: a field that stands twice",
		`{"role":1,"\u0072ole":2}`:                                    "stands twice",
		`{"task":1,"ta\u017fk":2}`:                                    "stands twice", // the long s, which encoding/json takes for an s
		`{"k":1,"` + "\u212a" + `":2}`:                                "stands twice", // the sign of the kelvin
		`{"a":{"x":1},"b":{"x":1}}`:                                   "",
		`{"payload":{"Path":1,"PATH":2}}`:                             "",
		`{"payload":{"a":1,"a":2}}`:                                   "stands twice",
		`{"payload":{},"PAYLOAD":{}}`:                                 "stands twice",
		fields(MaxFields):                                             "",
		fields(MaxFields + 1):                                         "more than 1024 fields",
		strings.TrimSuffix(fields(100), "}") + `,"F7":1}`:             "stands twice",
		long(MaxElements, "0"):                                        "",
		long(MaxElements+1, "{}"):                                     "more than 16384",
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth): "",
		strings.Repeat("[", MaxDepth+1):                               "deeper than 32",
		strings.Repeat("[", 1<<20):                                    "deeper than 32",
		strings.Repeat(`{"a":`, MaxDepth+1):                           "deeper than 32",
		`1e999999`:                                                    "too large",
		`-1e400`:                                                      "too large",
		`1e-999999`:                                                   "", // nothing
		`9007199254740992`:                                            "",
		`9007199254740993000`:                                         "too large",
		`{"payload":9007199254740993000}`:                             "",
		`{"payload":` + strings.Repeat("9", 33) + `}`:                 "more than 32 characters",
		`0.` + strings.Repeat("1", 31):                                "more than 32 characters",
		`"\ud800"`:                                                    "surrogate", `"\udc00\ud800"`: "surrogate", `"\ud800\n"`: "surrogate", `"\ud83d\ude00"`: "",
		"\"\xff\"": "not UTF-8", "\"a\nb\"": "control", `"\x"`: "escape", `"\u12g4"`: "escape", `"\u12`: "escape", `"\`: "too early", `"a`: "too early",
		``: "too early", `[`: "too early", `{"a"`: "colon", `{"a":`: "too early", `{a:1}`: "name", `[1,]`: "begins so", `{"a":1,}`: "name",
		`[1 2]`: "comma", `01`: "written so", `-`: "written so", `1.`: "written so", `1e`: "written so", `+1`: "begins so", `.5`: "begins so", `NaN`: "begins so", `nul`: "begins so",
		`{} {}`: "behind", `truefalse`: "behind", "\x00": "begins so", "1\x00": "behind",
	} {
		err := CheckJSON([]byte(text))
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrJSON) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

// FuzzCheckJSON compares with what is said of JSON by a reader of its tokens.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"\ud83d\ude00"],"A":{}}`, `{"payload":{"a":1,"A":12345678901234567890}}`, `[[[[]]]]`, `"\ud800"`, `{"K":1,"k":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := CheckJSON(b)
		if err != nil && !errors.Is(err, ErrJSON) {
			t.Fatal(err)
		}
		if want := slowly(b); (err == nil) != want {
			t.Fatalf("%q: %v, but it is all right: %v", b, err, want)
		}
	})
}

func slowly(b []byte) bool {
	if !utf8.Valid(b) || !json.Valid(b) || halfPair(b) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if !slowValue(d, 0, true) {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}

// halfPair says whether encoding/json had to put U+FFFD in the place of half of a surrogate pair.
func halfPair(b []byte) bool {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return true
	}
	back, _ := json.Marshal(v)
	written := strings.Count(string(b), "\uFFFD") + strings.Count(strings.ToLower(string(b)), `\ufffd`)
	return strings.Count(string(back), "\uFFFD") > written
}

func slowValue(d *json.Decoder, depth int, own bool) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	if n, ok := token.(json.Number); ok {
		v, err := strconv.ParseFloat(n.String(), 64)
		integer := !strings.ContainsAny(n.String(), ".eE")
		return err == nil && len(n) <= maxNumber && !(own && integer && (v > maxInteger || v < -maxInteger))
	}
	open, nested := token.(json.Delim)
	if !nested {
		return true
	}
	if depth++; depth > MaxDepth {
		return false
	}
	var seen []string
	n := 0
	for ; d.More(); n++ {
		inner := own
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return false
			}
			k := token.(string)
			for _, s := range seen {
				if s == k || own && strings.EqualFold(s, k) {
					return false
				}
			}
			seen = append(seen, k)
			inner = own && k != "payload"
		}
		if !slowValue(d, depth, inner) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil && n <= map[json.Delim]int{'{': MaxFields, '[': MaxElements}[open]
}
