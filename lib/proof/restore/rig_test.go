// Package restore holds the lane of `make prove` that restores backups of a main node which is at work: it is a fork of history, in which no number may be
// given out twice, and no result may land where it does not belong. The programs are the real ones, each in a process of its own. It has no code but tests.
package restore

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// patience is how long anything may take that is waited for.
const patience = 60 * time.Second

// rig is a cluster on this host.
type rig struct {
	t       *testing.T
	bin     string
	dir     string // a folder for each daemon, named as it is
	address string // of the main node, once it has one
	main    *exec.Cmd
	workers []*exec.Cmd
}

// newRig builds the programs and starts a main node and workers.
func newRig(t *testing.T, workers int) *rig {
	if runtime.GOOS == "windows" {
		t.Skip("the lane is for systems with signals and sh")
	}
	openSources(t)
	r := &rig{t: t, bin: t.TempDir(), dir: t.TempDir(), address: "127.0.0.1:0"}
	for program, cgo := range map[string]string{"rc-mained": "1", "rc-workerd": "0"} {
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", r.bin+string(filepath.Separator), "../../../cmd/"+program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", program, err, out)
		}
	}
	t.Cleanup(r.end)
	r.startMain()
	for i := range workers {
		name := fmt.Sprint("worker", i+1)
		r.workers = append(r.workers, r.start(name, "rc-workerd", "--name="+name, "--data="+r.path(name), "--main-data="+r.path("main"), "--slots=6", "--kill-grace=1s", "--allow-write="+r.dir))
	}
	r.wait("the workers", func(ctx context.Context, c *client.Client) bool {
		s, err := c.Status(ctx)
		return err == nil && s.DevicesOnline == workers && s.Slots == 6*workers
	})
	return r
}

// openSources opens what the programs are made of, of which go test would not know otherwise.
func openSources(t *testing.T) {
	for _, dir := range []string{"cmd", "lib"} {
		err := filepath.WalkDir(filepath.Join("../../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
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

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// start starts a daemon whose words go to a file.
func (r *rig) start(name, program string, args ...string) *exec.Cmd {
	r.t.Helper()
	log, err := os.OpenFile(r.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(r.bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return cmd
}

func (r *rig) startMain() {
	r.t.Helper()
	addr := r.path("main.addr")
	os.Remove(addr)
	r.main = r.start("main", "rc-mained", "--listen="+r.address, "--addr-file="+addr, "--data="+r.path("main"), "--name=main", "--heartbeat=200ms", "--offline-after=3s", "--backup-every=1s")
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(addr); err == nil {
			r.address = strings.TrimSpace(string(b))
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the main node does not start:\n%s", r.said("main"))
		}
	}
}

// stopMain ends the main node, as a power cut would or as asked.
func (r *rig) stopMain(sig syscall.Signal) {
	r.main.Process.Signal(sig)
	r.main.Wait()
	r.main = nil
}

// run runs one of rc-mained's sub-commands and returns what it prints.
func (r *rig) run(args ...string) string {
	r.t.Helper()
	out, err := exec.Command(filepath.Join(r.bin, "rc-mained"), append([]string{"--data=" + r.path("main")}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("rc-mained %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// client connects to the main node as commands on its host do.
func (r *rig) client(ctx context.Context) (*client.Client, error) {
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(r.path("main"), name))
		return strings.TrimSpace(string(b))
	}
	return client.Dial(ctx, client.Options{Main: r.address, Pin: read(wire.FileFingerprint), Token: read(wire.FileToken), Software: "proof"})
}

// wait waits until something is so.
func (r *rig) wait(what string, is func(context.Context, *client.Client) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c, err := r.client(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	for ; !is(ctx, c); time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			r.t.Fatalf("waited in vain for %s\n%s", what, r.said("main"))
		}
	}
}

// said is the end of what a daemon said.
func (r *rig) said(name string) string {
	b, _ := os.ReadFile(r.path(name + ".log"))
	return string(b[max(0, len(b)-4000):])
}

func (r *rig) end() {
	for _, w := range r.workers {
		w.Process.Kill()
		w.Wait()
	}
	if r.main != nil {
		r.main.Process.Kill()
		r.main.Wait()
	}
}
