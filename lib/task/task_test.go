package task

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestIDText(t *testing.T) {
	seen := map[string]ID{}
	for n := ID(1); n < 100_000; n++ {
		s := n.String()
		back, err := ParseID(s)
		if err != nil || back != n || len(s) != 9 {
			t.Fatalf("%d → %s → %d, %v", n, s, back, err)
		}
		if other, ok := seen[s]; ok {
			t.Fatalf("%d and %d are both %s", n, other, s)
		}
		seen[s] = n
	}
	if s := ID(MaxID).String(); strings.ContainsAny(s, "ilou") {
		t.Errorf("%s has a letter that is mistaken for a digit", s)
	}
	if id, err := ParseID(strings.ToUpper(ID(42).String())); err != nil || id != 42 {
		t.Errorf("capitals: %v %v", id, err)
	}
	for _, s := range []string{"", "t", "42", "t1234567", "t123456789", "tiiiiiiii", JobID(1).String(), "t" + strings.Repeat("é", 4)} {
		if _, err := ParseID(s); !errors.Is(err, ErrBadID) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestPrefix(t *testing.T) {
	for n := ID(1); n < 2000; n++ {
		s := n.String()
		for end := 4; end <= len(s); end++ {
			p, err := ParsePrefix(s[:end])
			if err != nil || !p.Matches(n) || p.Matches(n+1) && !strings.HasPrefix((n+1).String(), s[:end]) {
				t.Fatalf("%s of %s: %v", s[:end], s, err)
			}
		}
	}
	for _, s := range []string{"t", "t12", "x123", "t1234567890", "tl00"} {
		if _, err := ParsePrefix(s); err == nil {
			t.Errorf("%q is no prefix", s)
		}
	}
}

func TestMoves(t *testing.T) {
	for _, from := range States() {
		if from.May(from) {
			t.Errorf("%s may move to itself", from)
		}
		for _, to := range States() {
			if from == Completed && from.May(to) {
				t.Errorf("a completed task may become %s", to)
			}
			if from.Ended() && to != Queued && from.May(to) {
				t.Errorf("%s may become %s", from, to)
			}
		}
		if !from.Ended() && !from.May(Cancelled) {
			t.Errorf("%s cannot be cancelled", from)
		}
		var back State
		if b, _ := from.MarshalText(); back.UnmarshalText(b) != nil || back != from {
			t.Errorf("%s came back as %s", from, back)
		}
	}
}

func TestValidate(t *testing.T) {
	ok := func(s string) string { return s }
	for _, c := range []struct{ name, spec, wrong string }{
		{"argv", ok(`{"task_type":"command","payload":{"argv":["ls","-l"]}}`), ""},
		{"eval", `{"task_type":"python_eval","payload":{"expression":"1","environment":{}},"priority":"high","timeout":2.5}`, ""},
		{"custom", `{"task_type":"resize-image","payload":{"anything":[1]}}`, ""},
		{"no payload of a custom type", `{"task_type":"resize"}`, ""},
		{"no argv", `{"task_type":"command","payload":{}}`, "argv"},
		{"no type", `{"payload":{}}`, "task_type"},
		{"bad type", `{"task_type":"../x","payload":{}}`, "task_type"},
		{"misspelt field", `{"task_type":"shell","payload":{"scirpt":"x"}}`, "scirpt"},
		{"list as payload", `{"task_type":"custom","payload":[1]}`, "object"},
		{"text as argv", `{"task_type":"command","payload":{"argv":"ls"}}`, "argv"},
		{"empty script", `{"task_type":"shell","payload":{"script":" "}}`, "script"},
		{"negative timeout", `{"task_type":"echo","payload":{},"timeout":-1}`, "timeout"},
		{"retries", `{"task_type":"echo","payload":{},"max_retries":101}`, "max_retries"},
		{"tag", `{"task_type":"echo","payload":{},"requirements":{"tags":["a b"]}}`, "a b"},
		{"memory", `{"task_type":"echo","payload":{},"requirements":{"min_memory_gb":-1}}`, "memory"},
		{"environment", `{"task_type":"command","payload":{"argv":["x"],"environment":{"A=B":"c"}}}`, "environment"},
		{"address", `{"task_type":"http_request","payload":{"url":"file:///etc/passwd"}}`, "url"},
		{"header", `{"task_type":"http_request","payload":{"url":"http://a/","headers":{"A":"b\r\nC: d"}}}`, "headers"},
		{"name", `{"task_type":"echo","name":"a\u001b[31m","payload":{}}`, "name"},
		{"big", `{"task_type":"echo","payload":{"message":"` + strings.Repeat("x", MaxPayload) + `"}}`, "payload"},
	} {
		var s Spec
		if err := json.Unmarshal([]byte(c.spec), &s); err != nil {
			t.Fatal(c.name, err)
		}
		switch err := s.Validate(); {
		case c.wrong == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.wrong != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: %v does not name %s", c.name, err, c.wrong)
		}
	}
}
