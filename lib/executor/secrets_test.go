package executor

import (
	"bytes"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestMask(t *testing.T) {
	for _, c := range []struct {
		name    string
		secrets task.Secrets
		text    string
		want    string
	}{
		{"none is there", task.Secrets{"A": "hunter2"}, "nothing to see\n", "nothing to see\n"},
		{"alone", task.Secrets{"A": "hunter2"}, "hunter2", "*******"},
		{"among others", task.Secrets{"A": "hunter2"}, "a hunter2, hunter2hunter2.\n", "a *******, **************.\n"},
		{"one that overlaps itself", task.Secrets{"A": "abab"}, "xabababx", "x******x"},
		{"two that overlap", task.Secrets{"A": "abcdef", "B": "efghij"}, "abcdefghij", "**********"},
		{"one in another", task.Secrets{"A": "abcdef", "B": "cdef"}, "cdef abcdef", "**** ******"},
		{"a beginning alone", task.Secrets{"A": "hunter2"}, "hunter", "hunter"},
		{"a beginning, then it", task.Secrets{"A": "hunter2"}, "huhunter2", "hu*******"},
		{"of two lines", task.Secrets{"A": "one1\ntwo2"}, "one1\ntwo2", "*********"},
		{"with a newline that a shell takes away", task.Secrets{"A": "hunter2\n"}, "hunter2 hunter2\n", "******* ********"},
		{"a line of several", task.Secrets{"A": "-----BEGIN\r\nMIIEpAIB\nAA==\n"}, "MIIEpAIB AA== -----BEGIN", "******** AA== **********"},
		{"bytes that are no text", task.Secrets{"A": "\xff\xfe\x01\x02"}, "\x00\xff\xfe\x01\x02\xff", "\x00****\xff"},
	} {
		for first := range len(c.text) + 1 {
			for second := first; second <= len(c.text); second++ {
				m := newMask(&c.secrets)
				got := m.pass([]byte(c.text[:first]))
				got = append(got, m.pass([]byte(c.text[first:second]))...)
				got = append(got, m.pass([]byte(c.text[second:]))...)
				got = append(got, m.rest()...)
				if string(got) != c.want {
					t.Fatalf("%s, cut at %d and %d: %q, want %q", c.name, first, second, got, c.want)
				}
			}
		}
	}
}

// What is held is no more than what a secret may begin with: a line that has none in it goes on at once.
func TestMaskHoldsNoMoreThanItMust(t *testing.T) {
	m := newMask(&task.Secrets{"A": "hunter2"})
	if got := m.pass([]byte("how far: 7 of 9\n")); string(got) != "how far: 7 of 9\n" {
		t.Errorf("of a line without secrets: %q", got)
	}
	if got := m.pass([]byte("the hun")); string(got) != "the " {
		t.Errorf("before a beginning: %q", got)
	}
	if got := m.pass([]byte("ger")); string(got) != "hunger" {
		t.Errorf("when it was none: %q", got)
	}
}

// However a text is cut, no secret is left in it, and all other bytes are where they were.
func FuzzMask(f *testing.F) {
	f.Add("hunter2", "ababab", "ahunter2babababab", uint8(3))
	f.Fuzz(func(t *testing.T, one, two, text string, step uint8) {
		s := task.Secrets{"A": one, "B": two}
		if s.Validate() != nil || strings.Contains(one+two, "*") {
			return
		}
		m := newMask(&s)
		var got []byte
		for rest := []byte(text); len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			got = append(got, m.pass(rest[:n])...)
			rest = rest[n:]
		}
		got = append(got, m.rest()...)
		if len(got) != len(text) || bytes.Contains(got, []byte(one)) || bytes.Contains(got, []byte(two)) {
			t.Fatalf("%q of %q", got, text)
		}
		for i := range got {
			if got[i] != text[i] && got[i] != '*' {
				t.Fatalf("%q of %q", got, text)
			}
		}
	})
}

// What is printed beyond the limit is hidden, too, though most of it is only counted.
func TestMaskBeyondTheLimit(t *testing.T) {
	var printed strings.Builder
	o := newOutput(tailShare, &task.Secrets{"A": "hunter2"}, func(_ task.Stream, data []byte) { printed.Write(data) })
	for range 2 * tailShare / 8 {
		o.write(task.Stdout, []byte("hunter2\n"))
	}
	r := new(task.Result)
	o.finish(r)
	if text := printed.String(); strings.Contains(text, "hunter2") || !strings.HasSuffix(text, "*******\n") || r.Reason == "" {
		t.Errorf("%d bytes, which end in %q; %q", len(text), text[len(text)-20:], r.Reason)
	}
}
