package profile

import (
	"os"
	"path/filepath"
)

// lookPath returns where a program is, in PATH or then in the folders more; empty if nowhere. exec.LookPath
// would not do: it calls faccessat2, and Android kills a GOOS=linux program for that.
func lookPath(name string, more ...string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), more...) {
		path := filepath.Join(dir, name)
		if filepath.IsAbs(path) && runnable(path) {
			return path
		}
	}
	return ""
}

func runnable(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0
}
