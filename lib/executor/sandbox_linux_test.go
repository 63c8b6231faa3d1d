package executor

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// newConfined is a bench whose attempts may not read its state, nor write but where they may. The test is skipped where the kernel cannot do that.
func newConfined(t *testing.T, o Options) (b *bench, state, free string) {
	t.Helper()
	top := t.TempDir()
	state, free = filepath.Join(top, "state"), filepath.Join(top, "free")
	for _, dir := range []string{state, free} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(state, "key"), filepath.Join(top, "data")} {
		if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Dir = filepath.Join(state, "attempts")
	o.Sandbox.Hidden, o.Sandbox.Writable = []string{state}, []string{free}
	b = newBench(t, o)
	if c := b.Confined(); !b.slots.setup.Landlock {
		t.Skipf("attempts cannot be confined here: %s", strings.Join(c.Gaps, "; "))
	}
	return b, state, free
}

// An attempt changes its own files and those that the owner allows, and no others; it reads what is not hidden; and it can neither signal nor see into
// who runs it.
func TestConfined(t *testing.T) {
	b, state, free := newConfined(t, Options{})
	top := filepath.Dir(state)
	for name, c := range map[string]struct {
		script string
		does   bool
	}{
		"writes its own":          {"mkdir a && echo x >a/b && mv a/b c && ln -s c d && rm -r a c d", true},
		"writes where it may":     {"echo x >" + free + "/x && mv " + free + "/x " + free + "/y && rm " + free + "/y", true},
		"writes to /dev/null":     {"echo x >/dev/null", true},
		"opens its output":        {"echo x >/dev/stderr && echo y >/dev/stdout", true},
		"uses shared memory":      {"echo x >/dev/shm/rc-test-$$ && rm /dev/shm/rc-test-$$", true},
		"reads what is beside":    {"cat " + top + "/data && ls " + top, true},
		"reads the system":        {"cat /etc/passwd /proc/self/status", true},
		"writes beside":           {"echo x >" + top + "/x", false},
		"removes what is beside":  {"rm " + top + "/data", false},
		"empties what is beside":  {"true >" + top + "/data", false},
		"moves out":               {"echo x >x; mv x " + top + "/x", false},
		"links a way out":         {"ln -s " + top + " out && echo x >out/x", false},
		"writes to /tmp":          {"echo x >/tmp/rc-test-$$", false},
		"reads the key":           {"cat " + state + "/key", false},
		"reads the key by a link": {"ln -s " + state + "/key k && cat k", false},
		"signals its helper":      {"kill -9 $PPID", false},
		"looks into its helper":   {"readlink /proc/$PPID/fd/0", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.sh(c.script + " || exit 7; rm -f *")
			if does := r.Status == task.AttemptCompleted; does != c.does || !does && *r.ExitCode != 7 {
				t.Errorf("%+v, %s%s", r, b.out.String(), b.err.String())
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(top, "data")); string(text) != "secret\n" {
		t.Errorf("what was beside is %q, %v", text, err)
	}
}

// An attempt cannot read, nor change, the files of another that runs at the same time, or waits behind it.
func TestConfinedApart(t *testing.T) {
	b, _, free := newConfined(t, Options{})
	ready := filepath.Join(free, "ready")
	done := make(chan task.Result)
	go func() {
		a := attempt(t, task.TypeShell, task.Shell{Script: "echo mine >mine; pwd >" + ready + ".new; mv " + ready + ".new " + ready + "; while [ -e " + ready + " ]; do sleep 0.05; done; cat mine"})
		done <- b.Run(t.Context(), a, func(task.Stream, []byte) {})
	}()
	for {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		time.Sleep(time.Millisecond) // until it is
	}
	a := attempt(t, task.TypeShell, task.Shell{Script: "other=$(cat " + ready + ") && ! cat $other/mine && ! echo x >$other/mine && ! rm $other/mine && rm " + ready})
	r := b.Run(t.Context(), a, func(task.Stream, []byte) {})
	if r.Status != task.AttemptCompleted {
		t.Errorf("%+v, %s", r, b.err.String())
		os.Remove(ready)
	}
	if r := <-done; r.Status != task.AttemptCompleted {
		t.Errorf("the other: %+v", r)
	}
}

// Attempts that follow each other in a slot find their directory as new, whatever those before have done to it, and nothing can be left beside it.
func TestConfinedInLine(t *testing.T) {
	b, _, _ := newConfined(t, Options{Slots: 1})
	var others sync.WaitGroup
	results := make(chan string, 64)
	run := func(script string) {
		a := attempt(t, task.TypeShell, task.Shell{Script: "ls -A; exec 2>/dev/null; " + script})
		a.Lined = true
		others.Go(func() {
			var out strings.Builder
			for {
				r := b.Run(t.Context(), a, func(_ task.Stream, data []byte) { out.Write(data) })
				if r.Status != "" {
					results <- string(r.Status) + " " + r.Reason + out.String()
					return
				}
			}
		})
	}
	for range 6 {
		run("mkdir -p a/b; echo x >a/b/c; chmod 0 a/b a; ln -s / root; true")
		run("echo x >../beside && exit 9; mkdir ../other && exit 9; chmod 0 .; true")
		run("mv $PWD ../gone && exit 9; rmdir $PWD && exit 9; true")
		run("mkfifo f; echo x >-rf; chmod 500 .; true")
	}
	others.Wait()
	close(results)
	for r := range results {
		if r != "completed " {
			t.Errorf("%q", r)
		}
	}
}

// Nobody else is begun in an attempt's directory before what that is to bring back was looked at.
func TestKeptApart(t *testing.T) {
	b := newBench(t, Options{Slots: 1})
	for range 20 {
		var others sync.WaitGroup
		others.Go(func() {
			other := attempt(t, task.TypeShell, task.Shell{Script: "echo other >out"})
			other.Lined = true
			for b.Run(t.Context(), other, func(task.Stream, []byte) {}).Status == "" {
			}
		})
		a := attempt(t, task.TypeShell, task.Shell{Script: "echo mine >out"})
		seen := ""
		a.Ended = func(root *os.Root, _ *task.Result) {
			time.Sleep(10 * time.Millisecond) // for others to begin, if they could
			text, err := root.ReadFile("out")
			seen = string(text)
			if err != nil {
				t.Error(err)
			}
		}
		if r := b.Run(t.Context(), a, func(task.Stream, []byte) {}); r.Status != task.AttemptCompleted || seen != "mine\n" {
			t.Fatalf("%+v, %q", r, seen)
		}
		others.Wait()
	}
}

// What is hidden may be made later, below a link; a directory that can be passed and not listed keeps nothing else from being read.
func TestHiddenLater(t *testing.T) {
	top := t.TempDir()
	home, state := filepath.Join(top, "home"), filepath.Join(top, "state")
	for _, dir := range []string{filepath.Join(top, "var", "home", "u"), state} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("var/home", home); err != nil {
		t.Fatal(err)
	}
	hidden := filepath.Join(home, "u", "cluster")
	b := newBench(t, Options{Dir: filepath.Join(state, "attempts"), Sandbox: Sandbox{Hidden: []string{hidden, state}}})
	if !b.slots.setup.Landlock {
		t.Skip("there is no Landlock here")
	}
	check(t, b.sh("true"), task.AttemptCompleted, 0, "")
	time.Sleep(makeEvery) // no sooner are rules made anew
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(hidden, "token"), filepath.Join(home, "u", "data")} {
		if err := os.WriteFile(file, []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check(t, b.sh("cat "+home+"/u/data"), task.AttemptCompleted, 0, "")
	check(t, b.sh("cat "+hidden+"/token"), task.AttemptFailed, 1, "exit status 1")
	check(t, b.sh("cat "+top+"/var/home/u/cluster/token"), task.AttemptFailed, 1, "exit status 1")
	if got := b.out.String(); got != "" {
		t.Errorf("it reads %q", got)
	}
}

// A file that is made beside what is hidden can be read by the next attempt.
func TestConfinedAnew(t *testing.T) {
	b, state, _ := newConfined(t, Options{})
	file := filepath.Join(filepath.Dir(state), "new")
	for range 5 {
		time.Sleep(makeEvery) // no sooner are rules made anew
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := b.sh("cat " + file); r.Status != task.AttemptCompleted || b.out.String() != "x" {
			t.Fatalf("%+v, %s", r, b.err.String())
		}
		os.Remove(file)
	}
}

// What keeps to a processor's half goes on, and what would use more takes the longer. Where others want the processors too it may get less, but not every time.
func TestThrottled(t *testing.T) {
	b := newBench(t, Options{Limits: Limits{CPUs: 0.5}})
	const busy = "end=$(($(cut -d. -f1 /proc/uptime) + 4)); while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done"
	b.oneOfThree(busy, "gets a fifth of a processor", func(r *task.Result) bool {
		share := r.Metrics.CPUTime / r.Wall
		if share > 0.7 {
			t.Errorf("it used %.2f s of CPU in %.2f s", r.Metrics.CPUTime, r.Wall)
		}
		return share >= 0.2
	})
	b.oneOfThree("sleep 0.3", "does nothing and is soon over", func(r *task.Result) bool { return r.Wall <= 1 })
}

// oneOfThree runs a script until a run is as it should be.
func (b *bench) oneOfThree(script, what string, is func(*task.Result) bool) {
	b.t.Helper()
	for range 3 {
		r := b.sh(script)
		if r.Status != task.AttemptCompleted {
			b.t.Fatalf("%+v", r)
		}
		if is(&r) {
			return
		}
	}
	b.t.Errorf("none of three runs %s", what)
}

// Where this process is root, attempts have a user of their own, who cannot read what is the worker's even where nothing else keeps them from it.
func TestOwnUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give attempts another user")
	}
	top, err := os.MkdirTemp("/var/tmp", "rc-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	os.Chmod(top, 0o711)
	key := filepath.Join(top, "key")
	os.WriteFile(key, []byte("secret"), 0o600)
	const user = 1_900_000_000
	b := newBench(t, Options{Dir: filepath.Join(top, "attempts"), Sandbox: Sandbox{User: user, Group: user, Writable: []string{"/"}}})
	if b.slots.setup.User != user {
		t.Fatalf("attempts have no user of their own: %q", b.Confined().Gaps)
	}
	check(t, b.sh("id -u; id -G; id -g; echo x >x; echo y >/dev/stderr; echo z >&3; echo z >$RC_PROGRESS; rm x"), task.AttemptCompleted, 0, "")
	if got := b.out.String(); got != "1900000000\n1900000000\n1900000000\n" {
		t.Errorf("%q", got)
	}
	check(t, b.sh("cat "+key), task.AttemptFailed, 1, "exit status 1")
	check(t, b.sh("mkdir -p a/b; chmod 0 a"), task.AttemptCompleted, 0, "") // and it is cleaned up
	check(t, b.sh("kill -9 $PPID"), task.AttemptFailed, 1, "exit status 1")
}
