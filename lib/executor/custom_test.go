//go:build unix

package executor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func writeType(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestCustom(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, Options{TasksDir: dir})
	builtin := b.Types()
	check(t, b.run("greet", struct{}{}), task.AttemptFailed, 127, "unknown task type greet: no such file in tasks.d")

	writeType(t, dir, "greet", "#!/bin/sh\nprintf '%s|' \"$0\" \"$RC_TASK\"; cat; exit 4\n", 0o755)
	if got := b.Types(); !slices.Contains(got, "greet") || len(got) != len(builtin)+1 {
		t.Errorf("%v", got)
	}
	check(t, b.run("greet", map[string]any{"to": "all"}), task.AttemptFailed, 4, "exit status 4")
	b.printed(filepath.Join(dir, "greet")+"|"+task.ID(7).String()+`|{"to":"all"}`, "")

	os.Chmod(filepath.Join(dir, "greet"), 0o644)
	check(t, b.run("greet", struct{}{}), task.AttemptFailed, 126,
		"task type greet: its file in tasks.d is not executable")
	os.Remove(filepath.Join(dir, "greet"))
	if got := b.Types(); !slices.Equal(got, builtin) {
		t.Errorf("%v", got)
	}
}

func TestCustomNames(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, Options{TasksDir: dir})
	builtin := b.Types()
	for _, name := range []string{".hidden", "backup~", "half.tmp", "Upper", "echo", "shell", "system_info", "a b"} {
		writeType(t, dir, name, "#!/bin/sh\necho shadow\n", 0o755)
	}
	writeType(t, dir, "data.json", "{}", 0o644)
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := b.Types(); !slices.Equal(got, builtin) || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
	check(t, b.run("half.tmp", struct{}{}), task.AttemptFailed, 127,
		"unknown task type half.tmp: no file in tasks.d may be called so")
	check(t, b.run("echo", task.Echo{Message: "hi"}), task.AttemptCompleted, 0, "")
	b.printed("hi", "")
	if err := os.Symlink("/bin/cat", filepath.Join(dir, "copy.v2")); err != nil {
		t.Fatal(err)
	}
	check(t, b.run("copy.v2", map[string]int{"a": 1}), task.AttemptCompleted, 0, "")
	b.printed(`{"a":1}`, "")
}

func TestCustomWithoutInterpreter(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, Options{TasksDir: dir})
	writeType(t, dir, "lost", "#!/nowhere/sh\n", 0o755)
	check(t, b.run("lost", struct{}{}), task.AttemptFailed, 127, "lost: not found")
}
