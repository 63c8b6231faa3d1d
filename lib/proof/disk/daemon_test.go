//go:build linux && cgo

package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
)

// patience is how long anything may take that a test waits for.
const patience = 20 * time.Second

// program is the path of one of the project's programs, built as it is for users.
func program(t *testing.T, name string) string {
	t.Helper()
	return built(t, name, func(path string) error {
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "../../../cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[name == "rc-mained"])
		return run(cmd)
	})
}

// openSources opens what the programs are made of. They are built by another process, of which go test knows nothing: without this it would
// go on saying "(cached) ok" after a change of them.
func openSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"cmd", "lib"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// daemon is a program that runs, or ran.
type daemon struct {
	cmd  *exec.Cmd
	said lockedBuffer // what it printed
	gone chan struct{}
	end  context.CancelFunc
	ctx  context.Context // done when it is gone
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is the end of it, which is where it says what went wrong.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.SplitAfter(b.b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// launch starts a program. It does not outlive the test, nor the test's process.
func launch(t *testing.T, env []string, path string, args ...string) *daemon {
	t.Helper()
	d := &daemon{cmd: exec.Command(path, args...), gone: make(chan struct{})}
	d.ctx, d.end = context.WithCancel(context.Background())
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = &d.said, &d.said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.cmd.Wait()
		d.end()
		close(d.gone)
	}()
	t.Cleanup(d.kill)
	return d
}

func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.gone
}

// stop asks it to end, and gives its status.
func (d *daemon) stop() (int, error) {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.gone:
		return d.status(), nil
	case <-time.After(patience):
		d.kill()
		return 0, fmt.Errorf("%s did not end when it was asked to:\n%s", filepath.Base(d.cmd.Path), d.said.String())
	}
}

// status is the exit status, once it is gone.
func (d *daemon) status() int { return d.cmd.ProcessState.ExitCode() }

func (d *daemon) over() bool { return d.ctx.Err() != nil }

// until waits for a condition; false means that the daemon has ended before it came true.
func (d *daemon) until(what string, is func() bool) (bool, error) {
	for deadline := time.Now().Add(patience); !is(); {
		select {
		case <-d.gone:
			return is(), nil
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return false, fmt.Errorf("waited in vain for %s; %s said:\n%s", what, filepath.Base(d.cmd.Path), d.said.String())
		}
	}
	return true, nil
}

// mained starts a main node on a data directory, and waits until it listens or has ended, which is the caller's to see.
func mained(t *testing.T, dir string, env ...string) (*daemon, error) {
	t.Helper()
	return mainedBy(t, dir, []string{program(t, "rc-mained")}, env...)
}

// mainedBy does so by a command that runs it.
func mainedBy(t *testing.T, dir string, command []string, env ...string) (*daemon, error) {
	t.Helper()
	addr := filepath.Join(t.TempDir(), "addr") // not on the disk under test
	args := append(command[1:len(command):len(command)], "--listen=127.0.0.1:0", "--addr-file="+addr, "--data="+dir, "--name=main", "--heartbeat=500ms", "--offline-after=10s", "--log-level=warn")
	d := launch(t, env, command[0], args...)
	_, err := d.until("its address", func() bool { return exists(addr) })
	return d, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// connect makes a client of the main node of a data directory on this host.
func connect(dir string) (*client.Client, error) {
	o, err := client.Find(client.Options{Data: dir, Software: "proof"}, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	return client.New(o)
}

// workerd starts a worker of the main node of a data directory.
func workerd(t *testing.T, dir, mainDir string) *daemon {
	t.Helper()
	return launch(t, nil, program(t, "rc-workerd"), "--data="+dir, "--main-data="+mainDir, "--name=pi", fmt.Sprint("--slots=", slots), "--kill-grace=1s")
}

// lastWords is the last line that a daemon printed, which is the message that it ended with.
func (d *daemon) lastWords() string {
	lines := strings.Split(strings.TrimSpace(d.said.String()), "\n")
	return lines[len(lines)-1]
}

// statusOf is the exit status of a command that has run, and what it printed.
func statusOf(cmd *exec.Cmd) (int, string, error) {
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return 0, string(out), err
	}
	return cmd.ProcessState.ExitCode(), string(out), nil
}
