package task

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzID checks that a text names one task, and that each of its beginnings finds that task.
func FuzzID(f *testing.F) {
	for _, s := range []string{ID(1).String(), strings.ToUpper(ID(77).String()), JobID(MaxID).String(), "t000", "tiiiiiiii", "t\x00123456", "ｔ12345678"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		job, wrong := ParseJobID(s)
		switch {
		case err == nil && (id.String() != strings.ToLower(s) || id > MaxID):
			t.Fatalf("%q is %d, %s", s, id, id)
		case wrong == nil && (job.String() != strings.ToLower(s) || err == nil):
			t.Fatalf("%q is %d, %s", s, job, job)
		case err != nil && !errors.Is(err, ErrBadID), wrong != nil && !errors.Is(wrong, ErrBadID):
			t.Fatalf("%q: %v, %v", s, err, wrong)
		}
		p, wrong := ParsePrefix(s)
		if err == nil && (wrong != nil || !p.Matches(id)) {
			t.Fatalf("%q does not begin as %s: %v", s, id, wrong)
		}
		if wrong == nil {
			first := strings.ToLower(s) + strings.Repeat("0", 1+idLength-len(s))
			if id, err := ParseID(first); err != nil || !p.Matches(id) {
				t.Fatalf("%q does not find %s: %v", s, first, err)
			}
		}
	})
}

// FuzzWords checks the words of the wire: each is read from one text alone.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"queued", "timeout", "Running", "state(3)", "urgent", "", "normal", "stdout", "stderr ", "priority(9)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, word := range []interface {
			encoding.TextUnmarshaler
			encoding.TextMarshaler
		}{new(State), new(Priority), new(Stream), new(ID), new(JobID)} {
			if word.UnmarshalText([]byte(s)) != nil {
				continue
			}
			b, err := word.MarshalText()
			_, isPriority := word.(*Priority)
			if err != nil || string(b) != s && string(b) != strings.ToLower(s) && !(isPriority && s == "") {
				t.Fatalf("%q is read as %T %q, %v", s, word, b, err)
			}
		}
	})
}

// FuzzSpec checks that a spec which is taken is taken again, as the same, after it went over the wire.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		`{"task_type":"command","payload":{"argv":["ls","-l"],"environment":{"A":"b"}},"priority":"high","timeout":3.5,"max_retries":2,"backoff":1,"retry_on":[1,124]}`,
		`{"task_type":"shell","payload":{"script":"echo","stdin":"x"},"requirements":{"tags":["a"],"gpu":true,"min_memory_gb":0.5},"limits":{"memory":1,"cpus":0.5}}`,
		`{"task_type":"http_request","payload":{"url":"http://[::1]:80/","method":"GET","headers":{"a":"b\n"}}}`,
		`{"task_type":"render","payload":{"frame":7},"files":{"in":[{"name":"a/b","sha256":"` + strings.Repeat("0", 64) + `","size":3}],"out":["*.png"]}}`,
		`{"task_type":"sleep","payload":{"seconds":1e308}}`, `{"task_type":"echo","payload":{"message":"\u0000\ud800"}}`, `{"task_type":"echo"}`,
		`{"task_type":"x","payload":null}`, `{"task_type":"x","payload":" "}`, `{"task_type":"python_eval","payload":{"expression":"1"}} `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Spec
		if json.Unmarshal(b, &s) != nil {
			return
		}
		if err := s.Validate(); err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%s: %v", b, err)
			}
			return
		}
		wire, err := json.Marshal(&s)
		if err != nil {
			t.Fatalf("%s cannot be sent: %v", b, err)
		}
		var back, third Spec
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatalf("%s cannot be read: %v", wire, err)
		}
		if err := back.Validate(); err != nil {
			t.Fatalf("%s is taken, and sent as %s is not: %v", b, wire, err)
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(wire) {
			t.Fatalf("%s became %s, %v", wire, again, err)
		}
		if json.Unmarshal(again, &third) != nil || !reflect.DeepEqual(back, third) {
			t.Fatalf("%+v became %+v", back, third)
		}
	})
}
