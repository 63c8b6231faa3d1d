package cli

import (
	"bytes"
	"io"
	"regexp"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// secret matches the project's secrets: join codes (rcj1_…), tokens and the like. There is no \b before it,
// as in an escaped text a secret may follow a letter: \nrcj1_….
var secret = regexp.MustCompile(`(rc[a-z]1_)[A-Za-z0-9_]+`)

// Mask replaces what is secret in s: "rcj1_abc_def" becomes "rcj1_…".
func Mask(s string) string { return secret.ReplaceAllString(s, "${1}…") }

// masker masks what is written through it, and escapes what is hidden in it, as slog leaves most of that in JSON; every Write must be a whole line.
// It works on the line as it will be read, so that no type of value and no attribute's name goes around it.
type masker struct{ w io.Writer }

// Write reports all of p as written also where it wrote less, the secrets.
func (m masker) Write(p []byte) (int, error) {
	line := p
	if bytes.Contains(p, []byte("1_")) {
		line = secret.ReplaceAll(p, []byte("${1}…"))
	}
	if body, ended := bytes.CutSuffix(line, []byte("\n")); ended {
		line = append([]byte(visible.JSON(string(body))), '\n')
	}
	if _, err := m.w.Write(line); err != nil {
		return 0, err
	}
	return len(p), nil
}
