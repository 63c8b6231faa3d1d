package executor

import (
	"bytes"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// mask hides what is secret in a stream: every byte of it becomes '*', so that all others keep their places. What may be the beginning of a secret
// it holds until more has come. It looks at each byte once for each secret.
type mask struct {
	secrets []*secret
	held    []byte // the end of what came, as it came
	hidden  []bool // of the held bytes, those that belong to a secret already
}

// secret is looked for as Knuth, Morris and Pratt do.
type secret struct {
	text   string
	border []int // of its first i+1 bytes, how long the longest end is with which it begins
	at     int   // so many of its bytes are the end of what came
	done   int   // of what came and is not given on yet, so many bytes are hidden as far as this secret goes
}

func newSecret(text string) *secret {
	s := &secret{text: text, border: make([]int, len(text))}
	for i, n := 1, 0; i < len(text); i++ {
		for n > 0 && text[i] != text[n] {
			n = s.border[n-1]
		}
		if text[i] == text[n] {
			n++
		}
		s.border[i] = n
	}
	return s
}

// next takes a byte and says whether the secret ends with it.
func (s *secret) next(b byte) bool {
	for s.at == len(s.text) || s.at > 0 && s.text[s.at] != b {
		s.at = s.border[s.at-1]
	}
	if s.text[s.at] == b {
		s.at++
	}
	return s.at == len(s.text)
}

// begun is how many bytes at the end of what came may be the beginning of one that has not ended.
func (s *secret) begun() int {
	if s.at == len(s.text) {
		return s.border[s.at-1]
	}
	return s.at
}

func newMask(s *task.Secrets) *mask {
	if s == nil {
		return nil
	}
	m := &mask{}
	for _, value := range *s {
		m.secrets = append(m.secrets, newSecret(value))
		whole := strings.TrimRight(value, "\r\n") // as $(…) has it
		if len(whole) >= task.MinSecret && whole != value {
			m.secrets = append(m.secrets, newSecret(whole))
		}
		for line := range strings.Lines(whole) {
			if line = strings.TrimRight(line, "\r\n"); len(line) >= leastLine && line != whole && len(m.secrets) < mostSought {
				m.secrets = append(m.secrets, newSecret(line))
			}
		}
	}
	return m
}

const (
	leastLine  = 8   // from how many bytes on a line of a secret, as of a key in PEM, is hidden alone
	mostSought = 256 // texts that lines are among: each costs a step for every byte that is printed
)

// pass takes what came and returns what may go on. The bytes are its own.
func (m *mask) pass(data []byte) []byte {
	all := slices.Concat(m.held, data)
	hidden := append(m.hidden, make([]bool, len(data))...)
	keep := 0
	for _, s := range m.secrets {
		for i := len(m.held); i < len(all); i++ {
			if s.next(all[i]) {
				for j := max(i+1-len(s.text), s.done); j <= i; j++ {
					hidden[j] = true
				}
				s.done = i + 1
			}
		}
		keep = max(keep, s.begun())
	}
	gone := len(all) - keep
	for _, s := range m.secrets {
		s.done = max(s.done-gone, 0)
	}
	m.held, m.hidden = bytes.Clone(all[gone:]), slices.Clone(hidden[gone:])
	return stars(all[:gone], hidden)
}

// rest is what was held.
func (m *mask) rest() []byte {
	last := stars(m.held, m.hidden)
	m.held, m.hidden = nil, nil
	return last
}

// stars hides in place.
func stars(text []byte, hidden []bool) []byte {
	for i := range text {
		if hidden[i] {
			text[i] = '*'
		}
	}
	return text
}

// Hide hides what is secret in a text that is whole, such as why an attempt ended, or how a file is called that it brings back. What an attempt prints
// comes to its sink without secrets.
func Hide(s *task.Secrets, text string) string {
	m := newMask(s)
	if m == nil {
		return text
	}
	return string(m.pass([]byte(text))) + string(m.rest())
}
