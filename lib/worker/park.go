package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// Bounds of what is kept of results that the main node does not know.
const (
	mostParked      = 1000
	mostParkedBytes = 64 << 20
)

// park keeps a result that the main node does not know, as after the restore of a backup, in a file of its own: a record as in the spool. It
// returns its path.
func (h *home) park(k Spooled) (string, error) {
	dir := h.path(dirOrphans)
	path := filepath.Join(dir, fmt.Sprintf("%s.%d.json", k.Lease.Task, k.Lease.Attempt))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep an orphaned result: %w", err)
	}
	body, err := json.Marshal(newRecord(k))
	if err != nil {
		return "", err
	}
	many, size, err := weigh(dir)
	if err != nil {
		return "", fmt.Errorf("keep an orphaned result: %w", err)
	}
	if many >= mostParked || size+int64(len(body)) > mostParkedBytes {
		return "", fmt.Errorf("keep an orphaned result: %s is full, with %d of them in %d MiB", dir, many, size>>20)
	}
	return path, cli.WriteFile(path, append(body, '\n'), 0o600)
}

// weigh counts the files of a folder and their bytes.
func weigh(dir string) (many int, size int64, err error) {
	there, err := os.ReadDir(dir)
	for _, e := range there {
		if fi, err := e.Info(); err == nil {
			size += fi.Size()
		}
	}
	return len(there), size, err
}
