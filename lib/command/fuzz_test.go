package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// FuzzSince checks that a moment is a time or so long ago, one of them, and what was written.
func FuzzSince(f *testing.F) {
	for _, s := range []string{"90m", "7d", "2026-01-15", "2026-01-15T10:30:00Z", "2026-01-15T10:30:00+14:00", "0", "yesterday", "0001-01-01", "9999-12-31T23:59:60Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var since Since
		if err := since.UnmarshalText([]byte(s)); err != nil {
			if since.set {
				t.Fatalf("%q is refused (%v), and set", s, err)
			}
			return
		}
		var ago cli.Duration
		isAgo := ago.UnmarshalText([]byte(s)) == nil
		if !since.set || isAgo && (since.ago != ago || since.at != nil) || !isAgo && since.ago != 0 {
			t.Fatalf("%q is %+v", s, since)
		}
		if !isAgo {
			var back Since
			if err := back.UnmarshalText([]byte(since.at.Format(time.RFC3339Nano))); err != nil || !back.at.Equal(*since.at) {
				t.Fatalf("%q is %v, which is %v (%v)", s, since.at, back.at, err)
			}
		}
	})
}

// FuzzIDs checks that what is refused before anything is sent is what no task is called, and named in one short line.
func FuzzIDs(f *testing.F) {
	for _, s := range []string{"t123", "t12", "j12345678", "", "T123abcde", "t\x1b[2J", strings.Repeat("t", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, bad := task.ParsePrefix(s)
		err := checkIDs([]string{"t1234", s})
		if (err == nil) != (bad == nil) || err != nil && (!errors.Is(err, task.ErrBadID) || len(err.Error()) > 500) {
			t.Fatalf("%q: %v", s, err)
		}
		jobs, err := parseJobs([]string{s})
		if err == nil && (len(jobs) != 1 || jobs[0].String() != strings.ToLower(s)) {
			t.Fatalf("%q is %v", s, jobs)
		}
	})
}

// FuzzLines checks that lines are what was between the newlines, all of them, and nothing that is not UTF-8.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "a\nb", "a\r\n\n", "\n\n\n", "\xff\n", "x\x00y\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var got []byte
		err := eachLine(bytes.NewReader(input), func(line []byte) error {
			if bytes.ContainsRune(line, '\n') || !utf8.Valid(line) {
				t.Fatalf("a line is %q", line)
			}
			got = append(append(got, line...), '\n')
			return nil
		})
		want := input
		if len(input) > 0 && input[len(input)-1] != '\n' {
			want = append(bytes.Clone(input), '\n')
		}
		if err == nil && !bytes.Equal(got, want) || err != nil && utf8.Valid(input) {
			t.Fatalf("%q was read as %q, %v", input, got, err)
		}
	})
}

// FuzzJSONLine checks that a task of rc-submit --json is what the wire makes of it, with the flags for what it does not say.
func FuzzJSONLine(f *testing.F) {
	for _, s := range []string{`{"task_type":"echo","payload":{"message":"x"}}`, `{"task_type":"shell","priority":"low","limits":{"memory":5},"requirements":{"tags":["b"]}}`,
		`{"taks_type":"echo"}`, `{} {}`, `[]`, `{"priority":"","timeout":-1}`, `{"requirements":null,"limits":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		common := func() task.Spec {
			return task.Spec{Name: "common", Priority: task.High, Requirements: task.Requirements{Tags: []string{"a", "b"}}, Provision: task.Provision{Limits: &task.Limits{Memory: 1}}}
		}
		flags := common()
		got, err := decodeSpec(line, flags)
		if !reflect.DeepEqual(flags, common()) {
			t.Fatalf("%q changed the tasks of the other lines: %+v", line, flags)
		}
		if err != nil {
			return
		}
		var said map[string]json.RawMessage
		if err := json.Unmarshal(line, &said); err != nil {
			t.Fatalf("%q was taken: %v", line, err)
		}
		for key := range said {
			if strings.EqualFold(key, "name") {
				return
			}
		}
		if got.Name != "common" {
			t.Fatalf("%q has the name %q", line, got.Name)
		}
	})
}

// FuzzFillShell reads a filled script as a shell does, and finds the line in it as one word.
func FuzzFillShell(f *testing.F) {
	for _, line := range nasty {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		rest, ok := strings.CutPrefix(fillShell("x {} y", line), "x ")
		var word strings.Builder
		for ok && rest != "" && rest[0] != ' ' {
			if after, escaped := strings.CutPrefix(rest, `\'`); escaped {
				word.WriteByte('\'')
				rest = after
				continue
			}
			var quoted string
			if rest, ok = strings.CutPrefix(rest, "'"); ok {
				quoted, rest, ok = strings.Cut(rest, "'")
				word.WriteString(quoted)
			}
		}
		if !ok || word.String() != line || rest != " y" {
			t.Fatalf("%q: the word is %q, and behind it %q", line, word.String(), rest)
		}
	})
}
