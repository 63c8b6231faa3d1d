package profile

import (
	"path/filepath"
	"slices"
)

// DefaultTools are the programs that Read looks for.
var DefaultTools = []string{
	"python3", "node", "gcc", "clang", "go", "rustc", "java", "ffmpeg", "git", "curl", "docker",
}

// tools returns those programs that this machine can run, in their order.
func (m *machine) tools(more []string) []string {
	var found []string
	for _, name := range slices.Concat(DefaultTools, more) {
		if !slices.Contains(found, name) && m.look(name) != "" {
			found = append(found, name)
		}
	}
	return found
}

// look finds a program. A worker started by Android itself has no PATH to Termux's programs.
func (m *machine) look(name string) string {
	if m.android {
		return lookPath(name, filepath.Join(m.Prefix, "bin"))
	}
	return lookPath(name)
}
