//go:build unix

package executor

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// What patterns find in a directory is never outside of it, and never anything but a file.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "sub/deep/c", "sub/d", "e"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(outside, []byte("secret"), 0o600)
	for name, to := range map[string]string{"inside": "e", "out": outside, "up": "../" + filepath.Base(filepath.Dir(outside)), "nowhere": "gone"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		patterns, names, missing []string
	}{
		{[]string{"*.txt"}, []string{"a.txt", "b.txt"}, nil},
		{[]string{"a*", "*.txt", "a.txt"}, []string{"a.txt", "b.txt"}, nil},
		{[]string{"sub"}, []string{"sub/d", "sub/deep/c"}, nil},
		{[]string{"sub/*/c", "none"}, []string{"sub/deep/c"}, []string{"none"}},
		{[]string{"inside"}, []string{"inside"}, nil},
		{[]string{"pipe"}, nil, []string{"pipe"}},
		{[]string{"out"}, nil, []string{"out"}},
		{[]string{"up"}, nil, []string{"up"}},
		{[]string{"up/*"}, nil, []string{"up/*"}},
		{[]string{"nowhere"}, nil, []string{"nowhere"}},
	} {
		names, missing, err := Left(root, c.patterns)
		if !slices.Equal(names, c.names) || !slices.Equal(missing, c.missing) || err != nil {
			t.Errorf("%q: %q, missing %q, %v", c.patterns, names, missing, err)
		}
	}
}

// An attempt has copies of its files, which are its own; what cannot be given to it is no fault of the program's.
func TestInputs(t *testing.T) {
	b := newBench(t, Options{})
	path := filepath.Join(t.TempDir(), "kept")
	os.WriteFile(path, []byte("#!/bin/sh\necho ran\n"), 0o600)
	a := attempt(t, task.TypeShell, task.Shell{Script: "./bin/tool && cat plain | wc -l && test ! -x plain && echo more >>plain && rm bin/tool"})
	a.Inputs = []Input{{"bin/tool", path, true}, {"plain", path, false}}
	left := 0
	a.Ended = func(root *os.Root, r *task.Result) {
		info, err := root.Stat("plain")
		if err != nil || r.Status != task.AttemptCompleted {
			t.Errorf("%+v, %v", r, err)
			return
		}
		left = int(info.Size())
	}
	check(t, b.do(t.Context(), a), task.AttemptCompleted, 0, "")
	if text, _ := os.ReadFile(path); string(text) != "#!/bin/sh\necho ran\n" || left != len(text)+5 {
		t.Errorf("the file is %q, the copy had %d bytes", text, left)
	}
	// What could not be started leaves nothing of that to the next one.
	noProgram := filepath.Join(t.TempDir(), "text")
	os.WriteFile(noProgram, []byte{0x7f, 'E', 'L', 'F'}, 0o700)
	never := attempt(t, task.TypeCommand, task.Command{Argv: []string{noProgram}})
	never.Inputs = []Input{{"secret", path, false}}
	if r := b.do(t.Context(), never); r.Status != task.AttemptFailed || *r.ExitCode != exitNotExecutable {
		t.Errorf("%+v", r)
	}
	check(t, b.sh("ls -A"), task.AttemptCompleted, 0, "")
	b.printed("", "")
	for _, in := range []Input{{"../x", path, false}, {"/x", path, false}, {"x", path + "gone", false}} {
		a := attempt(t, task.TypeShell, task.Shell{Script: "true"})
		a.Inputs = []Input{in}
		if r := b.do(t.Context(), a); r.Status != task.AttemptFailed || r.ExitCode != nil {
			t.Errorf("%+v: %+v", in, r)
		}
	}
}
