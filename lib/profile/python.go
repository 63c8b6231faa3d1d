package profile

import (
	"context"
	"strings"
)

// python returns the version of Python 3; empty if there is none, or if it does not say so in time.
func (m *machine) python(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, patience) // for both names together
	defer cancel()
	for _, name := range []string{"python3", "python"} { // Windows has only the second
		if path := m.look(name); path != "" {
			if v := parsePython(output(ctx, path, "--version")); v != "" {
				return v
			}
		}
	}
	return ""
}

// parsePython reads "Python 3.11.2".
func parsePython(s string) string {
	v, ok := strings.CutPrefix(strings.TrimSpace(s), "Python ")
	if !ok || !strings.HasPrefix(v, "3.") {
		return ""
	}
	v, _, _ = strings.Cut(v, " ")
	v, _, _ = strings.Cut(v, "\n")
	return strings.TrimSpace(v)
}
