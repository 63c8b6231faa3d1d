// Package browser plays what people do in a browser: a real Chromium, on the pages of a real rc-web, of a real cluster of processes on this host. It is a
// module of its own, so that what drives the browser is no requirement of the project's.
package browser

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = time.Minute // for what is there in a moment, unless the machine is busy

var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(status)
}

// build makes the programs, once.
func build(t *testing.T) string {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "rc-browser"); programs.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", programs.dir+"/", "./cmd/...")
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// cluster is a main node, workers and rc-web.
type cluster struct {
	t       *testing.T
	bin     string
	dir     string
	web     string // http://host:port
	running map[string]*daemon
}

type daemon struct {
	name string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func newCluster(t *testing.T, workers ...string) *cluster {
	c := &cluster{t: t, bin: build(t), dir: t.TempDir(), running: map[string]*daemon{}}
	c.start("rc-mained", "main", "--listen=127.0.0.1:0", "--data="+c.path("main"), "--addr-file="+c.path("main.addr"), "--name=nas", "--heartbeat=500ms", "--offline-after=2s", "--discovery=off")
	c.await("main.addr")
	c.running["main"].args[0] = "--listen=" + c.read("main.addr")
	for _, name := range workers {
		c.start("rc-workerd", name, "--name="+name, "--data="+c.path(name), "--main-data="+c.path("main"), "--slots=2", "--discovery=off", "--kill-grace=1s")
	}
	c.start("rc-web", "web", "--listen=127.0.0.1:0", "--data="+c.path("main"), "--web-data="+c.path("web"), "--addr-file="+c.path("web.addr"))
	c.await("web.addr")
	c.web = "http://" + c.read("web.addr")
	c.running["web"].args[0] = "--listen=" + c.read("web.addr")
	for _, name := range workers {
		c.until(func() bool { return strings.Contains(c.run("rc-status", "devices"), name+"|online") }, name+" is online")
	}
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) read(name string) string {
	b, _ := os.ReadFile(c.path(name))
	return strings.TrimSpace(string(b))
}

func (c *cluster) await(file string) {
	c.until(func() bool { return c.read(file) != "" }, file+" is written")
}

func (c *cluster) until(is func() bool, what string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, d := range c.running {
				c.t.Logf("[%s]\n%s", d.name, d.log.String())
			}
			c.t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

func (c *cluster) start(program, name string, args ...string) {
	c.t.Helper()
	d := &daemon{name: name, args: args}
	d.cmd = exec.Command(filepath.Join(c.bin, program))
	c.running[name] = d
	c.again(name)
	c.t.Cleanup(func() { c.stop(name) })
}

// again starts a daemon that was stopped, with the same data and at the same address.
func (c *cluster) again(name string) {
	c.t.Helper()
	d := c.running[name]
	program := d.cmd.Path
	d.cmd = exec.Command(program, d.args...)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir}
	d.cmd.Stderr = &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends a daemon as a power cut would.
func (c *cluster) kill(name string) {
	d := c.running[name]
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

// stop ends a daemon gently, and then less gently: a worker waits for what it runs, until it is told again.
func (c *cluster) stop(name string) {
	d := c.running[name]
	if d.cmd.Process == nil || d.cmd.ProcessState != nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	hurry := time.AfterFunc(500*time.Millisecond, func() { d.cmd.Process.Signal(syscall.SIGTERM) })
	force := time.AfterFunc(patience, func() { d.cmd.Process.Kill() })
	d.cmd.Wait()
	hurry.Stop()
	force.Stop()
}

// run runs a command and gives what it prints.
func (c *cluster) run(program string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "RC_DATA=" + c.path("main"), "RC_WEB_DATA=" + c.path("web")}
	out, err := cmd.Output()
	if err != nil {
		var said string
		if e, ok := err.(*exec.ExitError); ok {
			said = string(e.Stderr)
		}
		c.t.Logf("%s %q: %v %s", program, args, err, said)
	}
	return string(out)
}

// touch makes a file that a task waits for.
func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
