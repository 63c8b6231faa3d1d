//go:build unix

package cli_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// TestMain is the command that the tests below start as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("CLI_TEST_COMMAND") != "" {
		cli.Main("rc-test", "Wait for signals.", new(waiter))
	}
	os.Exit(m.Run())
}

// waiter says on stdout what happens to it.
type waiter struct {
	Daemon bool
	Yes    bool
	Notify bool
}

func (w *waiter) Run(ctx context.Context, std cli.Std) error {
	switch {
	case w.Daemon:
		return w.serve(ctx, std)
	case w.Notify:
		cli.Ready()
		return nil
	}
	for w.Yes {
		if _, err := fmt.Fprintln(std.Out, "yes"); err != nil {
			return err
		}
	}
	fmt.Fprintln(std.Out, "waiting")
	<-ctx.Done()
	return fmt.Errorf("wait: %w", ctx.Err())
}

func (w *waiter) serve(ctx context.Context, std cli.Std) error {
	kill, hangups := cli.Daemon(ctx), cli.Hangups(ctx)
	fmt.Fprintln(std.Out, "serving")
	<-hangups
	fmt.Fprintln(std.Out, "reloading")
	<-ctx.Done()
	fmt.Fprintln(std.Out, "draining:", context.Cause(ctx))
	<-kill.Done()
	fmt.Fprintln(std.Out, "killed:", context.Cause(kill))
	return nil
}

// process is a running waiter.
type process struct {
	*exec.Cmd
	t    *testing.T
	pipe io.ReadCloser
	out  *bufio.Reader
	err  strings.Builder
}

func startProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0], args...), t: t}
	p.Env = append(append(os.Environ(), "CLI_TEST_COMMAND=1"), env...)
	p.Stderr = &p.err
	pipe, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.pipe, p.out = pipe, bufio.NewReader(pipe)
	return p
}

func (p *process) expect(line string) {
	p.t.Helper()
	if got, err := p.out.ReadString('\n'); got != line+"\n" {
		p.t.Fatalf("got %q, %v; want %q", got, err, line)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits and returns how the process ended; it must have said nothing on stderr.
func (p *process) ended() string {
	p.t.Helper()
	err := p.Wait()
	if p.err.Len() > 0 {
		p.t.Errorf("stderr: %s", p.err.String())
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Error()
	}
	return fmt.Sprint(err)
}

func TestInterrupted(t *testing.T) {
	for s, want := range map[syscall.Signal]string{syscall.SIGINT: "exit status 130", syscall.SIGTERM: "exit status 143"} {
		p := startProcess(t, nil)
		p.expect("waiting")
		p.signal(s)
		if got := p.ended(); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}

func TestDaemonSignals(t *testing.T) {
	p := startProcess(t, nil, "--daemon")
	p.expect("serving")
	p.signal(syscall.SIGHUP)
	p.expect("reloading")
	p.signal(syscall.SIGTERM)
	p.expect("draining: terminated signal received")
	p.signal(syscall.SIGINT)
	p.expect("killed: interrupt signal received")
	if got := p.ended(); got != "<nil>" {
		t.Errorf("ended with %s", got)
	}
}

func TestClosedStdout(t *testing.T) {
	p := startProcess(t, nil, "--yes")
	p.expect("yes")
	p.pipe.Close() // as "head -1" does
	if got := p.ended(); got != "signal: broken pipe" && got != "<nil>" {
		t.Errorf("ended with %s", got)
	}
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	address := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	p := startProcess(t, []string{"NOTIFY_SOCKET=" + address.Name}, "--notify")
	if got := p.ended(); got != "<nil>" {
		t.Fatal(got)
	}
	for _, want := range []string{"READY=1"} {
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("got %q, %v; want %q", b[:n], err, want)
		}
	}
}

func TestWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	if interval, _ := cli.Watchdog(); interval != 0 {
		t.Errorf("interval %s without a watchdog", interval)
	}
	t.Setenv("WATCHDOG_USEC", "10000000")
	t.Setenv("WATCHDOG_PID", "")
	interval, beat := cli.Watchdog()
	if interval != 5*time.Second {
		t.Errorf("interval %s, want 5s", interval)
	}
	beat() // nobody listens: no harm
}
