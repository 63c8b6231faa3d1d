//go:build unix

package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// bench is an executor with what its attempts printed.
type bench struct {
	*Executor
	t    testing.TB
	out  bytes.Buffer // both streams
	err  bytes.Buffer
	each func() // called after each piece
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "work")
	}
	x, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := x.Clean()
		left, _ := os.ReadDir(o.Dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the directory: %v, %v", left, err)
		}
	})
	return &bench{Executor: x, t: t, each: func() {}}
}

func (b *bench) sink(s task.Stream, data []byte) {
	if s == task.Stderr {
		b.err.Write(data)
	} else {
		b.out.Write(data)
	}
	b.each()
}

func attempt(t testing.TB, taskType string, payload any) Attempt {
	t.Helper()
	p, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return Attempt{
		Lease:  task.Lease{Task: 7, Attempt: 2, Token: "x"},
		Spec:   task.Spec{Type: taskType, Payload: p},
		Device: "shelf-1",
	}
}

// do runs one attempt and checks that nothing of it is left.
func (b *bench) do(ctx context.Context, a Attempt) task.Result {
	b.t.Helper()
	b.out.Reset()
	b.err.Reset()
	r := b.Run(ctx, a, b.sink)
	left, err := filepath.Glob(filepath.Join(b.options.Dir, "*", "*", "*"))
	if err != nil || len(left) > 0 {
		b.t.Errorf("left in the directory: %v, %v", left, err)
	}
	return r
}

func (b *bench) run(taskType string, payload any) task.Result {
	b.t.Helper()
	return b.do(context.Background(), attempt(b.t, taskType, payload))
}

func (b *bench) sh(script string) task.Result {
	b.t.Helper()
	return b.run(task.TypeShell, task.Shell{Script: script})
}

// check compares a result; a code of -1 is none.
func check(t testing.TB, r task.Result, status task.Outcome, code int, reason string) {
	t.Helper()
	got := -1
	if r.ExitCode != nil {
		got = *r.ExitCode
	}
	if r.Status != status || got != code || r.Reason != reason {
		t.Errorf("got %s, %d, %q; want %s, %d, %q", r.Status, got, r.Reason, status, code, reason)
	}
	if r.Wall <= 0 && r.Reason != "cancelled" {
		t.Errorf("took no time: %v", r.Wall)
	}
}

func (b *bench) printed(stdout, stderr string) {
	b.t.Helper()
	if b.out.String() != stdout || b.err.String() != stderr {
		b.t.Errorf("printed %.200q and %.200q; want %.200q and %.200q", b.out.String(), b.err.String(), stdout, stderr)
	}
}

func needsPython(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 here")
	}
}

func TestEnds(t *testing.T) {
	b := newBench(t, Options{})
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("\x00\x01\x02"), 0o755); err != nil {
		t.Fatal(err)
	}
	argv := func(a ...string) task.Command { return task.Command{Argv: a} }
	for _, c := range []struct {
		taskType string
		payload  any
		status   task.Outcome
		code     int
		reason   string
	}{
		{"command", argv("true"), task.AttemptCompleted, 0, ""},
		{"command", argv("false"), task.AttemptFailed, 1, "exit status 1"},
		{"command", argv("sh", "-c", "exit 3"), task.AttemptFailed, 3, "exit status 3"},
		{"command", argv("frobnicate"), task.AttemptFailed, 127, "frobnicate: not found"},
		{"command", argv("/nowhere/at/all"), task.AttemptFailed, 127, "/nowhere/at/all: not found"},
		{"command", argv("./here"), task.AttemptFailed, 127, "./here: not found"},
		{"command", argv(plain), task.AttemptFailed, 126, plain + ": not executable"},
		{"command", argv(junk), task.AttemptFailed, 126, junk + ": exec format error"},
		{"command", argv("/"), task.AttemptFailed, 126, "/: not executable"},
		{"command", argv("plain"), task.AttemptFailed, 127, "plain: not found"},
		{"command", task.Command{Argv: []string{"plain"}, Environment: map[string]string{"PATH": filepath.Dir(plain)}},
			task.AttemptFailed, 126, "plain: not executable"},
		{"command", argv(), task.AttemptFailed, -1, "payload.argv: names no program"},
		{"command", []int{1}, task.AttemptFailed, -1,
			"payload: json: cannot unmarshal array into Go value of type task.Command"},
		{"shell", task.Shell{Script: "exit 250"}, task.AttemptFailed, 250, "exit status 250"},
		{"shell", task.Shell{Script: "kill -9 $$"}, task.AttemptFailed, 137, "killed by signal 9 (killed)"},
		{"shell", task.Shell{Script: "kill -SEGV $$"}, task.AttemptFailed, 139,
			"killed by signal 11 (segmentation fault)"},
		{"shell", task.Shell{Script: "kill -9 0"}, task.AttemptFailed, 137, "killed by signal 9 (killed)"},
		{"shell", task.Shell{Script: ": " + strings.Repeat("x", 200<<10)}, task.AttemptFailed, 126,
			"sh: argument list too long"},
		{"echo", task.Echo{Message: "hi"}, task.AttemptCompleted, 0, ""},
		{"sleep", task.Sleep{Seconds: 0.001}, task.AttemptCompleted, 0, ""},
		{"system_info", struct{}{}, task.AttemptFailed, -1, "system_info: not available on this device"},
		{"frobnicate", struct{}{}, task.AttemptFailed, 127,
			"unknown task type frobnicate: this device has no tasks.d"},
	} {
		r := b.run(c.taskType, c.payload)
		check(t, r, c.status, c.code, c.reason)
	}
}

func TestStreams(t *testing.T) {
	b := newBench(t, Options{})
	check(t, b.sh("printf out; printf err >&2"), task.AttemptCompleted, 0, "")
	b.printed("out", "err")
	check(t, b.run("echo", task.Echo{Message: "grüß\x00 <世界> & so"}), task.AttemptCompleted, 0, "")
	b.printed("grüß\x00 <世界> & so", "")
	check(t, b.run("echo", task.Echo{}), task.AttemptCompleted, 0, "")
	b.printed("", "")
}

func TestStdin(t *testing.T) {
	b := newBench(t, Options{})
	big := strings.Repeat("0123456789abcdé\x00\r\n", 15000) // more than a pipe holds
	check(t, b.run("command", task.Command{Argv: []string{"cat"}, Stdin: big}), task.AttemptCompleted, 0, "")
	b.printed(big, "")
	check(t, b.run("command", task.Command{Argv: []string{"true"}, Stdin: big}), task.AttemptCompleted, 0, "")
	check(t, b.run("shell", task.Shell{Script: "cat; exec 0<&-", Stdin: "x"}), task.AttemptCompleted, 0, "")
	b.printed("x", "")
	check(t, b.run("command", task.Command{Argv: []string{"cat"}}), task.AttemptCompleted, 0, "")
	b.printed("", "")
}

func TestBinaryOutput(t *testing.T) {
	b := newBench(t, Options{})
	all := make([]byte, 300<<10)
	for i := range all {
		all[i] = byte(i * 7 >> 3)
	}
	file := filepath.Join(t.TempDir(), "all")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, b.run("command", task.Command{Argv: []string{"cat", file}}), task.AttemptCompleted, 0, "")
	b.printed(string(all), "")
}

var hole = regexp.MustCompile(`\n\[\d+ bytes that were printed here are not kept\]\n`)

// The first and the last bytes of what is printed are kept, however it comes, and what is missing between them is counted.
func TestOutputTail(t *testing.T) {
	b := newBench(t, Options{OutputLimit: 1 << 20})
	for name, script := range map[string]string{
		"quickly":       "seq 1000000",
		"slowly at end": "seq 900000; for i in $(seq 900001 1000000 | head -100); do echo $i; done; seq 900101 1000000 | while read -r a; do echo $a; [ $a -lt 900200 ] || break; done; seq 900201 1000000",
		"many writers":  "seq 999990; for i in 999991 999992 999993 999994 999995 999996 999997 999998 999999 1000000; do sh -c \"echo $i\"; done",
	} {
		t.Run(name, func(t *testing.T) {
			r := b.sh(script)
			text := b.out.String()
			if !strings.HasPrefix(text, "1\n2\n3\n") || !strings.HasSuffix(text, "\n999999\n1000000\n") {
				t.Fatalf("%q … %q, %+v", text[:20], text[max(0, len(text)-20):], r)
			}
			at := hole.FindStringIndex(text)
			if at == nil {
				t.Fatal("nothing says that something is missing")
			}
			var missing, dropped int
			fmt.Sscanf(text[at[0]+1:], "[%d", &missing)
			fmt.Sscanf(r.Reason, "output limit of 1 MiB reached; %d", &dropped)
			const printed = 6888896 // by seq 1000000
			if got := at[0] + len(text) - at[1]; missing != dropped || got+missing != printed || len(text)-at[1] > tailSize || len(text)-at[1] < tailSize/4 {
				t.Errorf("%d bytes are kept, %d are missing there and %d in %q", got, missing, dropped, r.Reason)
			}
		})
	}
}

func TestOutputLimit(t *testing.T) {
	for _, c := range []struct {
		limit  int64
		script string
		kept   int
		reason string
	}{
		{1000, "head -c 1000 /dev/zero", 1000, ""},
		{1000, "head -c 1001 /dev/zero", 1000, "output limit of 1000 bytes reached; 1 bytes not kept"},
		{1 << 20, "head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2", 1 << 20,
			"output limit of 1 MiB reached; 2951424 bytes not kept"}, // and two lines that say where
		{2048, "head -c 5000 /dev/zero; exit 3", 2048,
			"exit status 3; output limit of 2 KiB reached; 2952 bytes not kept"},
		{0, "head -c 8388609 /dev/zero", 8<<20 - tailSize, "output limit of 8 MiB reached; 65537 bytes not kept"}, // the other stream's share is not used
	} {
		b := newBench(t, Options{OutputLimit: c.limit})
		r := b.sh(c.script)
		kept := 0
		for _, text := range []string{b.out.String(), b.err.String()} {
			kept += len(hole.ReplaceAllString(text, ""))
		}
		if r.Reason != c.reason || kept != c.kept {
			t.Errorf("%s: kept %d+%d, %q", c.script, b.out.Len(), b.err.Len(), r.Reason)
		}
	}
	b := newBench(t, Options{OutputLimit: 3})
	check(t, b.run("echo", task.Echo{Message: "12345"}), task.AttemptCompleted, 0,
		"output limit of 3 bytes reached; 2 bytes not kept")
	b.printed("123", "")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RC_TOKEN", "secret")
	t.Setenv("LD_LIBRARY_PATH", "/secret")
	t.Setenv("LANG", "de_DE.UTF-8")
	b := newBench(t, Options{})
	declared := map[string]string{"COLOUR": "blue=green", "LANG": "C", "EMPTY": "", "RC_DEVICE": ""}
	r := b.run("command", task.Command{Argv: []string{"env"}, Environment: declared})
	check(t, r, task.AttemptCompleted, 0, "")
	got := map[string]string{}
	for line := range strings.Lines(b.out.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if _, twice := got[name]; twice {
			t.Errorf("%s stands there twice", name)
		}
		got[name] = value
	}
	if got["HOME"] != got["TMPDIR"] || !strings.HasPrefix(got["HOME"], b.options.Dir+"/") {
		t.Errorf("HOME=%s TMPDIR=%s", got["HOME"], got["TMPDIR"])
	}
	delete(got, "HOME")
	delete(got, "TMPDIR")
	want := map[string]string{"COLOUR": "blue=green", "LANG": "C", "EMPTY": "", "PATH": os.Getenv("PATH"),
		"RC_TASK": task.ID(7).String(), "RC_ATTEMPT": "2", "RC_DEVICE": ""}
	if !b.slots.alone() {
		want["RC_PROGRESS"] = progressFile
	}
	if termux() == "" && !maps.Equal(got, want) {
		t.Errorf("the environment is %v; want %v", got, want)
	}
}

func TestPrivateDirectory(t *testing.T) {
	b := newBench(t, Options{})
	check(t, b.sh(`pwd; echo $HOME; ls -ld . | cut -c1-10; ls -A | wc -l | tr -d ' '`), task.AttemptCompleted, 0, "")
	lines := strings.Fields(b.out.String())
	if lines[0] != lines[1] || !slices.Equal(lines[2:], []string{"drwx------", "0"}) {
		t.Errorf("%q", lines)
	}
	check(t, b.sh(`mkdir -p a/b; echo x >a/b/c; chmod 400 a/b/c; chmod 500 a/b a; ln -s / root; mkfifo f`),
		task.AttemptCompleted, 0, "")
	check(t, b.sh(`printf '#!/bin/sh\necho ran' >s; chmod +x s; ./s`), task.AttemptCompleted, 0, "")
	b.printed("ran\n", "")
	check(t, b.sh(`rmdir "$PWD"`), task.AttemptCompleted, 0, "")
	if err := os.RemoveAll(b.options.Dir); err != nil {
		t.Error(err)
	}
	check(t, b.sh(`true`), task.AttemptCompleted, 0, "")
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	b := newBench(t, Options{})
	outside := t.TempDir()
	file := filepath.Join(outside, "keep")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, b.run("shell", task.Shell{Script: `ln -s "$OUT" d; ln -s "$OUT/keep" f; mkdir m; ln -s "$OUT" m/d; chmod 0 m`,
		Environment: map[string]string{"OUT": outside}}), task.AttemptCompleted, 0, "")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestPython(t *testing.T) {
	needsPython(t)
	b := newBench(t, Options{})
	for _, c := range []struct {
		expression string
		code       int
		out, err   string
	}{
		{"sum(range(100000))", 0, "4999950000", ""},
		{`"a"*3`, 0, "aaa", ""},
		{"\n 1 +\t1 \n", 0, "2", ""},
		{"[x*x for x in\n range(4)]", 0, "[0, 1, 4, 9]", ""},
		{`"grüß 世界 \N{SNOWMAN}"`, 0, "grüß 世界 ☃", ""},
		{"None", 0, "None", ""},
		{"len(str(2**100000))", 0, "30103", ""},
		{"print('x')", 0, "x\nNone", ""},
		{"1/0", 1, "", "ZeroDivisionError: division by zero\n"},
		{"undefined", 1, "", "NameError: name 'undefined' is not defined\n"},
		{"__import__('sys').exit(7)", 7, "", ""},
		{"__import__('os').environ['HOME'] == __import__('os').getcwd()", 0, "True", ""},
		{"dir()", 0, "['__builtins__']", ""},
	} {
		r := b.run("python_eval", task.PythonEval{Expression: c.expression})
		if *r.ExitCode != c.code {
			t.Errorf("%s: %s", c.expression, r.Reason)
		}
		b.printed(c.out, c.err)
	}
	r := b.run("python_eval", task.PythonEval{Expression: "1 +"})
	check(t, r, task.AttemptFailed, 1, "exit status 1")
	if !strings.Contains(b.err.String(), "SyntaxError: ") || strings.Contains(b.err.String(), "Traceback") {
		t.Errorf("%s", b.err.String())
	}
}

func TestNoPython(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := newBench(t, Options{})
	check(t, b.run("python_eval", task.PythonEval{Expression: "1"}), task.AttemptFailed, 127,
		"python3: not found on this device")
	if types := b.Types(); slices.Contains(types, "python_eval") || slices.Contains(types, "shell") {
		t.Errorf("%v", types)
	}
}

func TestMetrics(t *testing.T) {
	needsPython(t)
	b := newBench(t, Options{})
	r := b.run("python_eval", task.PythonEval{Expression: "sum(range(10**6)) + len(b'x' * (400 << 20))"})
	check(t, r, task.AttemptCompleted, 0, "")
	if m := r.Metrics; m.CPUTime < 0.005 || m.MemoryPeak < 400<<20 || m.MemoryPeak > 800<<20 {
		t.Errorf("%+v", m)
	}
}

func TestSystemInfo(t *testing.T) {
	b := newBench(t, Options{SystemInfo: func(context.Context) any { return map[string]any{"name": "<a&b>", "n": 1} }})
	check(t, b.run("system_info", struct{}{}), task.AttemptCompleted, 0, "")
	b.printed("{\n  \"n\": 1,\n  \"name\": \"<a&b>\"\n}", "")
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		2 * time.Second: "2s", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m",
		time.Hour + 10*time.Second: "1h0m10s", 500 * time.Millisecond: "500ms",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %s; want %s", d, got, want)
		}
	}
}

func BenchmarkRunTrue(b *testing.B) { benchmark(b, "command", task.Command{Argv: []string{"true"}}) }
func BenchmarkEcho(b *testing.B)    { benchmark(b, "echo", task.Echo{Message: "hello"}) }

func benchmark(b *testing.B, taskType string, payload any) {
	x := newBench(b, Options{})
	a := attempt(b, taskType, payload)
	sink := func(task.Stream, []byte) {}
	b.ReportAllocs()
	for b.Loop() {
		if r := x.Run(context.Background(), a, sink); r.Status != task.AttemptCompleted {
			b.Fatal(r.Reason)
		}
	}
}

// BenchmarkOSExec is what os/exec takes for the same, to compare with.
func BenchmarkOSExec(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var out, err bytes.Buffer
		c := exec.Command("true")
		c.Stdout, c.Stderr = &out, &err
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// A directory is as it was made when it is used again, whatever was done to it.
func TestDirectoryIsFresh(t *testing.T) {
	b := newBench(t, Options{})
	for _, script := range []string{"true", "touch .hidden", "chmod 755 .", "touch x; rm x", "mkdir ../other", "mkdir -p a/b; chmod 0 a", `rmdir "$PWD"`, `rmdir "$PWD"; echo >"$PWD"`} {
		b.sh(script)
		check(t, b.sh("ls -a | wc -l | tr -d ' '; ls -ld . | cut -c1-10"), task.AttemptCompleted, 0, "")
		if b.out.String() != "2\ndrwx------\n" {
			t.Errorf("after %s: %q", script, b.out.String())
		}
	}
}
