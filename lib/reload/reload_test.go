package reload_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/reload"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// start watches path with a debounce and returns what changed sends, and where Run's result comes.
func start(t *testing.T, path string, debounce time.Duration) (changed <-chan struct{}, ended <-chan error, stop context.CancelFunc) {
	t.Helper()
	w, err := reload.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c, e, done := make(chan struct{}, 100), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		e <- w.Run(ctx, debounce, func() { c <- struct{}{} })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return c, e, cancel
}

func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s within %s", what, patience)
	}
	return v
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.json")
	changed, _, _ := start(t, path, 20*time.Millisecond)
	steps := []struct {
		name string
		do   func()
	}{
		{"creation", func() { write(t, path, "1") }},
		{"writing", func() { write(t, path, "2") }},
		{"renaming onto it", func() { replace(t, path, "3") }},
		{"renaming onto it again", func() { replace(t, path, "4") }},
		{"writing after that", func() { write(t, path, "5") }},
		{"removal", func() { os.Remove(path) }},
		{"creation after that", func() { write(t, path, "6") }},
	}
	for _, step := range steps {
		step.do()
		await(t, changed, "call after "+step.name)
		for len(changed) > 0 {
			<-changed
		}
	}
}

func TestOthersDoNotCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.json")
	changed, _, _ := start(t, path, time.Millisecond)
	write(t, path+".bak", "1")
	write(t, path+".swp", "1")
	replace(t, path, "2") // comes after the others: when it was noticed, they were too
	await(t, changed, "call")
	if len(changed) > 0 {
		t.Error("called for a file beside")
	}
}

func TestDebounce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.json")
	changed, _, _ := start(t, path, 200*time.Millisecond)
	for range 20 {
		write(t, path, "1")
	}
	await(t, changed, "call")
	if len(changed) > 0 {
		t.Error("called more than once for one burst")
	}
}

func TestWrittenWithoutPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.json")
	changed, _, _ := start(t, path, 50*time.Millisecond)
	deadline := time.After(patience)
	for {
		write(t, path, "1")
		select {
		case <-changed:
			return
		case <-deadline:
			t.Fatal("a file written without pause was never noticed")
		default:
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	changed, ended, _ := start(t, dir, time.Millisecond)
	write(t, filepath.Join(dir, "token"), "1")
	await(t, changed, "call after a new entry")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := await(t, ended, "end"); err == nil {
		t.Error("no error when the folder was removed")
	}
}

func TestLinkThroughLink(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "conf.json"), version)
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	link("v1", "data")
	link(filepath.Join("data", "conf.json"), "conf.json")
	changed, _, _ := start(t, filepath.Join(dir, "conf.json"), time.Millisecond)
	link("v2", "data.new")
	if err := os.Rename(filepath.Join(dir, "data.new"), filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	await(t, changed, "call")
}

func TestEnd(t *testing.T) {
	_, ended, stop := start(t, filepath.Join(t.TempDir(), "conf.json"), reload.Debounce)
	stop()
	if err := await(t, ended, "end"); err != nil {
		t.Error(err)
	}
}

func TestNoFolder(t *testing.T) {
	err := reload.Watch(context.Background(), filepath.Join(t.TempDir(), "absent", "conf.json"), 0, func() {})
	if err == nil {
		t.Error("watched a file in a folder that is not there")
	}
}
