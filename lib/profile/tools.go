package profile

import "path/filepath"

// DefaultTools are the programs that Read looks for when nobody says which.
var DefaultTools = []string{
	"python3", "node", "gcc", "clang", "go", "rustc", "java", "ffmpeg", "git", "curl", "docker",
}

// tools returns those of the names that this machine can run, in their order.
func (m *machine) tools(names []string) []string {
	if names == nil {
		names = DefaultTools
	}
	var found []string
	for _, name := range names {
		if m.look(name) != "" {
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
