package executor

import (
	"bytes"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// mask hides what is secret in a stream: every byte of it becomes '*', so that all others keep their places. What may be the beginning of a secret
// it holds until more has come.
type mask struct {
	secrets []string
	held    []byte // the end of what came, as it came
	hidden  []bool // of the held bytes, those that belong to a secret already
}

func newMask(s *task.Secrets) *mask {
	if s == nil {
		return nil
	}
	m := &mask{}
	for _, value := range *s {
		m.secrets = append(m.secrets, value)
		if line := strings.TrimRight(value, "\r\n"); len(line) >= task.MinSecret && line != value { // as $(…) has it
			m.secrets = append(m.secrets, line)
		}
	}
	return m
}

// pass takes what came and returns what may go on. The bytes are its own.
func (m *mask) pass(data []byte) []byte {
	all := slices.Concat(m.held, data)
	hidden := append(m.hidden, make([]bool, len(data))...)
	for _, s := range m.secrets {
		for from := 0; ; from++ {
			i := bytes.Index(all[from:], []byte(s))
			if i < 0 {
				break
			}
			from += i
			for j := range len(s) {
				hidden[from+j] = true
			}
		}
	}
	keep := m.beginning(all)
	m.held, m.hidden = bytes.Clone(all[len(all)-keep:]), slices.Clone(hidden[len(all)-keep:])
	return stars(all[:len(all)-keep], hidden)
}

// rest is what was held.
func (m *mask) rest() []byte {
	last := stars(m.held, m.hidden)
	m.held, m.hidden = nil, nil
	return last
}

// beginning is the length of the longest end of the text with which a secret begins.
func (m *mask) beginning(text []byte) (longest int) {
	for _, s := range m.secrets {
		for n := min(len(s)-1, len(text)); n > longest; n-- {
			if string(text[len(text)-n:]) == s[:n] {
				longest = n
			}
		}
	}
	return longest
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

// line hides what is secret in a line that is whole.
func (m *mask) line(text string) string {
	if m == nil {
		return text
	}
	whole := mask{secrets: m.secrets}
	return string(whole.pass([]byte(text))) + string(whole.rest())
}
