package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzConfig checks that whatever a file contains is either refused with a line of it or read as JSON with each key once.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a": 1, "b": [true, null]}`, "{\n\"a\": {\"b\": \"c\"}}", `{"a-b": 1, "a_b": 2}`, `{`, ``, `[]`, `{} {}`, "\xef\xbb\xbf{}", `{"a":1,}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, line, err := parseConfig(data)
		lines := strings.Count(string(data), "\n") + 1
		if err != nil {
			if line < 1 || line > lines {
				t.Fatalf("line %d of %d: %v", line, lines, err)
			}
			return
		}
		if !json.Valid([]byte(strings.TrimPrefix(string(data), "\xef\xbb\xbf"))) {
			t.Fatal("read what is not JSON")
		}
		seen := map[string]bool{}
		for _, e := range entries {
			if seen[e.key] || e.line < 1 || e.line > lines {
				t.Fatalf("entry %+v of %d lines", e, lines)
			}
			seen[e.key] = true
		}
	})
}
