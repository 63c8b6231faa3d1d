package profile

import (
	"cmp"
	"context"

	"golang.org/x/sys/unix"
)

// usage measures the file system of dir as df does: what is kept for root counts neither as free nor as used.
func usage(_ context.Context, dir string) (size, free int64, percent *float64) {
	var s unix.Statfs_t
	if unix.Statfs(standing(dir), &s) != nil {
		return 0, 0, nil
	}
	block := cmp.Or(int64(s.Frsize), int64(s.Bsize))
	used := int64(s.Blocks - s.Bfree)
	free = int64(s.Bavail)
	return int64(s.Blocks) * block, free * block, percentOf(float64(used), float64(used+free))
}
