//go:build unix

package worker

import (
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Where a record could not be written whole, the next one begins a line: it is found again.
func TestSpoolAfterAFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.log")
	s, _, err := openSpool(path)
	if err != nil {
		t.Fatal(err)
	}
	result := func(n, size int) Spooled {
		return Spooled{Lease: lease(n), Result: task.Result{Status: task.AttemptCompleted}, Chunks: []task.Chunk{{Stream: task.Stdout, Data: make([]byte, size)}}}
	}
	add := func(k Spooled) error {
		err := s.add(k)
		if err == nil {
			err = s.flush()
		}
		return err
	}
	if err := add(result(1, 1000)); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(4000) // in the middle of the next record
	if err := s.add(result(2, 10_000)); err != nil {
		t.Fatal(err)
	}
	if err := s.add(result(3, mostDraft)); err == nil {
		t.Error("a record was written beyond the end of the disk")
	}
	limit(was.Cur)
	if err := add(result(4, 1000)); err != nil {
		t.Fatal(err)
	}
	s.close()
	_, kept, err := openSpool(path)
	if err != nil || len(kept) != 2 || kept[0].Lease != lease(1) || kept[1].Lease != lease(4) {
		t.Errorf("%d results came back: %v", len(kept), err)
	}
}
