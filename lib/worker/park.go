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
	mostParked   = 1000
	mostParkable = 16 << 20 // bytes of output of one
)

// park keeps a result that the main node does not know, as after the restore of a backup, in a file of its own: a record as in the spool. It
// returns its path.
func (h *home) park(k Spooled) (string, error) {
	dir := h.path(dirOrphans)
	path := filepath.Join(dir, fmt.Sprintf("%s.%d.json", k.Lease.Task, k.Lease.Attempt))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep an orphaned result: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("keep an orphaned result: %w", err)
	}
	rec := newRecord(k)
	size := 0
	for _, p := range rec.Output {
		size += len(p.Data)
	}
	if len(there) >= mostParked || size > mostParkable {
		return "", fmt.Errorf("keep an orphaned result of %s: %d of them are in %s already, or it is too large", k.Lease.Task, len(there), dir)
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return "", err
	}
	return path, cli.WriteFile(path, append(body, '\n'), 0o600)
}
