package executor

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user who has no right but an owner's.
const nobody = 65534

// A tree that its owner has locked is removed by its owner all the same.
func TestLockedTree(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "executor")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Geteuid() == 0 { // root may do everything; this thread's file accesses become nobody's
		os.Chown(base, nobody, nobody)
		unix.Setfsuid(nobody)
		defer unix.Setfsuid(0)
	}
	dir := lockedTree(t, base)
	if os.RemoveAll(dir) == nil {
		t.Fatal("the tree is not locked")
	}
	d := &dirs{base: base}
	if err := d.give(privateDir{path: dir}); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(base); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

func lockedTree(t *testing.T, base string) string {
	t.Helper()
	dir := filepath.Join(base, "private")
	deep := filepath.Join(dir, "a", "b", "c")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "file"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(deep, "root")); err != nil {
		t.Fatal(err)
	}
	for d, mode := deep, os.FileMode(0); d != base; d, mode = filepath.Dir(d), 0o500 {
		if err := os.Chmod(d, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A directory that was seen to be empty is looked into again after any change, even one that was taken back.
func TestChangedDirectoryIsLookedInto(t *testing.T) {
	d := &dirs{base: t.TempDir()}
	dir, err := d.make()
	if err != nil {
		t.Fatal(err)
	}
	dir.empty = traceOf(dir.path)
	if !dir.isEmpty() {
		t.Fatal("a new directory is not empty")
	}
	file := filepath.Join(dir.path, "left")
	for traceOf(dir.path) == dir.empty { // until the system's clock has moved on
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if dir.isEmpty() {
		t.Fatal("a directory with a file is empty")
	}
	os.Remove(file)
	if !dir.isEmpty() || dir.empty.certain {
		t.Error("a directory that was changed just now is trusted")
	}
}
