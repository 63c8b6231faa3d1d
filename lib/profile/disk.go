package profile

import (
	"os"
	"path/filepath"
)

// standing returns dir, or the nearest folder above it that exists: a worker's folder may not be made yet.
func standing(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "."
	}
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
