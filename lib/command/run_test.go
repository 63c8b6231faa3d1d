//go:build cgo

package command

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

func TestWaitForOne(t *testing.T) {
	s := newStage(t)
	s.worker("pi4", 4)
	for _, tt := range []struct {
		args      []string
		status    int
		out, errs string
	}{
		{[]string{"--shell", "echo hello; echo oops >&2"}, 0, "hello\n", "oops\n"},
		{[]string{"--shell", "printf x; exit 3"}, 3, "x", ""},
		{[]string{"--shell", `printf '\001\377\033[2J'`}, 0, "\x01\xff\x1b[2J", ""},
		{[]string{"--shell", "head -c 300000 /dev/zero | tr '\\0' y"}, 0, strings.Repeat("y", 300000), ""},
		{[]string{"--type", "echo", "--payload", `{"message":"value"}`}, 0, "value\n", ""},
	} {
		status, out, errs := s.run("rc-submit", new(Submit), "", append(tt.args, "--wait")...)
		if status != tt.status || out != tt.out || errs != tt.errs {
			t.Errorf("%q: status %d, %d bytes %.60q, %q", tt.args, status, len(out), out, errs)
		}
	}
}

func TestWaitForMany(t *testing.T) {
	s := newStage(t)
	s.worker("pi4", 8)
	status, out, errs := s.run("rc-submit", new(Submit), "3\n1\n2\n", "--each", "--wait", "--ordered", "--shell", "sleep 0.{}; echo {}; echo {} is done >&2")
	if status != 0 || out != "3\n1\n2\n" || errs != "3 is done\n1 is done\n2 is done\n" {
		t.Errorf("ordered: %d %q %q", status, out, errs)
	}
	status, out, errs = s.run("rc-submit", new(Submit), "8\n1\n4\n", "--each", "--wait", "--shell", "sleep 0.{}; echo {}")
	if status != 0 || out != "1\n4\n8\n" || errs != "" {
		t.Errorf("as they end: %d %q %q", status, out, errs)
	}
	status, out, errs = s.run("rc-submit", new(Submit), "0\n7\n0\n1\n", "--each", "--wait", "--shell", "head -c 9000 /dev/zero; exit {}")
	if status != 1 || len(out) != 36000 || !strings.HasPrefix(errs, "rc-submit: 2 of 4 tasks failed: t") {
		t.Errorf("failed: %d, %d bytes, %q", status, len(out), errs)
	}
	status, out, errs = s.run("rc-submit", new(Submit), "", "--each", "--wait", "--", "x")
	if status != 0 || out+errs != "" {
		t.Errorf("none: %d %q %q", status, out, errs)
	}
}

// TestKeyAgain waits twice for what is submitted once.
func TestKeyAgain(t *testing.T) {
	s := newStage(t)
	s.worker("pi4", 4)
	args := []string{"--each", "--wait", "--ordered", "--key", "k", "--shell", "echo {} $$"}
	status, first, errs := s.run("rc-submit", new(Submit), "a\nb\n", args...)
	if status != 0 || strings.Count(first, "\n") != 2 {
		t.Fatalf("%d %q %q", status, first, errs)
	}
	if status, again, errs := s.run("rc-submit", new(Submit), "a\nb\n", args...); status != 0 || again != first {
		t.Errorf("%d %q %q, the first time %q", status, again, errs, first)
	}
	if status, _, errs := s.run("rc-submit", new(Submit), "a\nc\n", args...); status != 65 {
		t.Errorf("another task under the key: %d %q", status, errs)
	}
}

// TestWaitOverRestart restarts the main node while a command waits for a task and another for many.
func TestWaitOverRestart(t *testing.T) {
	s := newStage(t)
	done := make(chan string, 2)
	wait := func(args ...string) {
		status, out, errs := s.run("rc-submit", new(Submit), "a\nb\n", args...)
		done <- fmt.Sprintf("%d %s%s", status, out, errs)
	}
	go wait("--wait", "--shell", "echo one")
	go wait("--each", "--wait", "--ordered", "--shell", "echo {}")
	for range 100 {
		if _, out, _ := s.run("rc-status", new(Status), "", "tasks"); strings.Count(out, "\n") == 3 {
			break
		}
	}
	s.stop()
	s.start()
	s.worker("pi4", 4)
	for range 2 {
		select {
		case got := <-done:
			if got != "0 one\n" && got != "0 a\nb\n" {
				t.Errorf("%q", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("still waits")
		}
	}
}

func TestDetach(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(500*time.Millisecond, func() { cancel(&cli.SignalError{Signal: syscall.SIGTERM}) })
	status, out, errs := s.runUntil(ctx, "rc-submit", new(Submit), "", "--wait", "--shell", "echo x")
	if status != 128+15 || out != "" || !strings.Contains(errs, "detached; the tasks go on. rc-status tasks --job j") {
		t.Errorf("%d %q %q", status, out, errs)
	}
}

func TestLogsOfTasks(t *testing.T) {
	s := newStage(t)
	s.worker("pi4", 8)
	_, ids, errs := s.run("rc-submit", new(Submit), strings.Repeat("x\ny\n", 100), "--each", "--shell", "echo {} out; echo {} err >&2")
	list := strings.Fields(ids)
	if len(list) != 200 || errs != "" {
		t.Fatal(ids, errs)
	}
	if status, out, errs := s.run("rc-logs", new(Logs), "", append([]string{"-f"}, list...)...); status != 0 || out != strings.Repeat("x out\ny out\n", 100) || errs != strings.Repeat("x err\ny err\n", 100) {
		t.Errorf("follow: %d %q %q", status, out, errs)
	}
	if status, out, _ := s.run("rc-logs", new(Logs), "", list...); status != 0 || out != strings.Repeat("x out\ny out\n", 100) {
		t.Errorf("%d %q", status, out)
	}
	if status, out, errs := s.run("rc-logs", new(Logs), "", list[0], "tzzzzzzzz", list[1]); status != 1 || out != "x out\ny out\n" || !strings.Contains(errs, "rc-logs: tzzzzzzzz: no such task\n") && !strings.Contains(errs, "no such task") {
		t.Errorf("unknown: %d %q %q", status, out, errs)
	}
	if _, out, _ := s.run("rc-logs", new(Logs), "", "-t", list[0]); !strings.HasSuffix(out, "Z x out\n") || !strings.HasPrefix(out, "20") {
		t.Errorf("timestamps: %q", out)
	}
	job := "j" + list[0][1:]
	if status, out, _ := s.run("rc-logs", new(Logs), "", "--job", job); status != 0 || strings.Count(out, "\n") != 200 {
		t.Errorf("job: %d %q", status, out)
	}
}

func TestCancelAndRetry(t *testing.T) {
	s := newStage(t)
	_, id, _ := s.run("rc-submit", new(Submit), "", "--shell", "exit 0")
	id = strings.TrimSpace(id)
	steps := []struct {
		args   []string
		status int
	}{
		{[]string{"retry", id}, 1}, // it is queued already
		{[]string{"cancel", id}, 0},
		{[]string{"cancel", id}, 1},
		{[]string{"cancel", "--job", "j" + id[1:]}, 0},
		{[]string{"retry", "--job", "j" + id[1:], "--state", "cancelled"}, 0},
		{[]string{"cancel", "tzzzzzzzz"}, 1},
	}
	for _, step := range steps {
		if status, out, errs := s.run("rc-ctl", new(Ctl), "", step.args...); status != step.status || out != "" || status == 0 && errs != "" {
			t.Errorf("%q: %d %q %q", step.args, status, out, errs)
		}
	}
	s.worker("pi4", 1)
	if status, _, errs := s.run("rc-logs", new(Logs), "", "-f", id); status != 0 {
		t.Errorf("%d %s", status, errs)
	}
	if _, out, _ := s.run("rc-status", new(Status), "", "tasks", "--state", "completed"); !strings.HasPrefix(out, id+"|completed|") {
		t.Errorf("%q", out)
	}
}

func TestTokens(t *testing.T) {
	s := newStage(t)
	_, made, _ := s.run("rc-ctl", new(Ctl), "", "token", "make", "read", "--name", "me")
	file := t.TempDir() + "/token"
	if err := cli.WriteFile(file, []byte(made), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		cmd    any
		args   []string
		status int
	}{
		{"rc-status", new(Status), nil, 0},
		{"rc-submit", new(Submit), []string{"--shell", "x"}, 77},
		{"rc-ctl", new(Ctl), []string{"cancel", "--state", "queued"}, 77},
		{"rc-ctl", new(Ctl), []string{"invite"}, 77},
	} {
		args := append(tt.args, "--token-file", file)
		if status, out, errs := s.run(tt.name, tt.cmd, "", args...); status != tt.status {
			t.Errorf("%s %q: %d %q %q", tt.name, args, status, out, errs)
		}
	}
	id := strings.Split(made, "_")[1]
	if status, _, errs := s.run("rc-ctl", new(Ctl), "", "token", "revoke", id); status != 0 {
		t.Errorf("revoke: %d %q", status, errs)
	}
	if status, _, errs := s.run("rc-ctl", new(Ctl), "", "ping", "--token-file", file); status != 77 {
		t.Errorf("revoked: %d %q", status, errs)
	}
}
