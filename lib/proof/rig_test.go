package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rig is a cluster of processes on this host.
type rig struct {
	t       *testing.T
	dir     string
	witness string // folder to which tasks tell what they do
	bin     string
	lease   time.Duration // T_s
	main    *process
	workers []*process
	named   sync.Map       // of these, by name
	options client.Options // of an admin, for the main node itself
}

// times are a cluster's, scaled down.
type times struct{ heartbeat, offline time.Duration }

// scaled is 1:100 of the defaults: a lease of 4.5 s.
var scaled = times{500 * time.Millisecond, 3 * time.Second}

const ready = 20 * time.Second // is how long a start may take on a machine that is busy

// newRig starts a main node, one of the programs in a folder. All of it is ended with the test; what the daemons printed is shown if that failed.
func newRig(t *testing.T, bin string, s times, again time.Duration) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "rc-proof")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, bin: bin, witness: filepath.Join(dir, "witness"), lease: s.offline * 3 / 2}
	t.Cleanup(r.end)
	for _, d := range []string{"", "locks", "kill", "out"} {
		if err := os.MkdirAll(filepath.Join(r.witness, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go r.deadly(done)
	r.main = r.process("main", "rc-mained", again, "--listen=127.0.0.1:0", "--addr-file="+filepath.Join(dir, "main.addr"), "--data="+r.path("main"), "--name=main",
		"--heartbeat="+s.heartbeat.String(), "--offline-after="+s.offline.String(), "--log-level=debug")
	r.main.run()
	if !waitFor(ready, func() bool { _, err := os.Stat(filepath.Join(dir, "main.addr")); return err == nil }) {
		t.Fatalf("the main node does not start: %v", r.main.failed)
	}
	local, err := wire.ReadLocal(r.path("main"))
	if err != nil {
		t.Fatal(err)
	}
	r.options = client.Options{Main: local.Address, Pin: local.Fingerprint, Token: local.Token, Software: "proof"}
	r.main.mu.Lock()
	r.main.args[0] = "--listen=" + local.Address
	r.main.mu.Unlock()
	return r
}

// deadly kills the workers whose tasks are of the kind that takes its worker down.
func (r *rig) deadly(done <-chan struct{}) {
	dir := filepath.Join(r.witness, "kill")
	for {
		marked, _ := os.ReadDir(dir)
		for _, m := range marked {
			os.Remove(filepath.Join(dir, m.Name()))
			if p, ok := r.named.Load(m.Name()); ok {
				p.(*process).signal(syscall.SIGKILL)
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-done:
			return
		}
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) process(name, program string, again time.Duration, args ...string) *process {
	return &process{name: name, path: filepath.Join(r.bin, program), args: args, again: again, logFile: r.path(name + ".log")}
}

// work starts a worker. With addresses it joins there by a code, which is not among its arguments afterwards; else it finds the main node
// on this host.
func (r *rig) work(name string, slots int, again time.Duration, addresses ...string) *process {
	r.t.Helper()
	p := r.process(name, "rc-workerd", again, "--name="+name, "--data="+r.path(name), "--slots="+strconv.Itoa(slots), "--kill-grace=1s", "--log-level=debug", "--allow-write="+r.witness)
	plain := p.args
	if len(addresses) > 0 {
		p.args = append(plain, "--join="+r.invite(addresses))
	} else {
		p.args = append(plain, "--main-data="+r.path("main"))
	}
	r.workers = append(r.workers, p)
	r.named.Store(name, p)
	p.run()
	if !waitFor(ready, func() bool { return bytes.Contains(read(p.logFile), []byte("msg=connected ")) }) {
		r.t.Fatalf("%s does not connect: %v", name, p.failed)
	}
	p.mu.Lock()
	p.args = plain
	p.mu.Unlock()
	return p
}

func (r *rig) invite(addresses []string) string {
	r.t.Helper()
	c := r.client()
	defer c.Close()
	made, err := c.Invite(within(r.t, ready), wire.Invite{Addresses: addresses})
	if err != nil {
		r.t.Fatal(err)
	}
	return made.Code
}

// client is a new client of the main node.
func (r *rig) client() *client.Client {
	c, err := client.New(r.options)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// online waits until all workers are at work.
func (r *rig) online() {
	r.t.Helper()
	c := r.client()
	defer c.Close()
	ok := waitFor(ready, func() bool {
		all, err := c.Devices(within(r.t, ready))
		n := 0
		for _, d := range all {
			if d.Status == device.Online && len(d.Profile.TaskTypes) > 0 {
				n++
			}
		}
		return err == nil && n == len(r.workers)
	})
	if !ok {
		r.t.Fatalf("not all of %d workers are online", len(r.workers))
	}
}

// spec is a task of the given kind; see testdata/task.sh. The key goes through to what it prints.
func (r *rig) spec(kind, key string, seconds float64) task.Spec {
	script, err := filepath.Abs("testdata/task.sh")
	if err != nil {
		r.t.Fatal(err)
	}
	payload, err := json.Marshal(task.Command{Argv: []string{"sh", script, kind, key, strconv.FormatFloat(seconds, 'g', 4, 64)},
		Environment: map[string]string{"W": r.witness, "SECRET": marker}})
	if err != nil {
		r.t.Fatal(err)
	}
	return task.Spec{Type: task.TypeCommand, Payload: payload}
}

// marker stands in the environment of every task: a secret, of which nothing but the database may know.
const marker = "marked-secret-7f3a9c"

// end ends every process, kills what tasks have left, and shows the logs of a lane that failed.
func (r *rig) end() {
	for _, p := range append(r.workers, r.main) {
		if p != nil && p.ending != nil {
			p.ask()
		}
	}
	for _, p := range append(r.workers, r.main) {
		if p != nil && p.ending != nil {
			p.end()
		}
	}
	for _, z := range r.taskProcesses() {
		syscall.Kill(z.pid, syscall.SIGKILL)
	}
	if os.Getenv("RC_PROVE_KEEP") == "" {
		defer os.RemoveAll(r.dir)
	}
	if r.t.Failed() {
		for _, p := range append([]*process{r.main}, r.workers...) {
			if p != nil {
				r.t.Logf("[%s.log]\n%s", p.name, p.lastLog(20))
			}
		}
	}
}

// taskProcess is a process of an attempt, as /proc shows it.
type taskProcess struct {
	pid     int
	task    task.ID
	attempt int
	device  string
	command string
}

func (p taskProcess) String() string {
	return fmt.Sprintf("process %d of %s, attempt %d on %s: %s", p.pid, p.task, p.attempt, p.device, p.command)
}

// taskProcesses lists the processes of this rig's tasks that are there now.
func (r *rig) taskProcesses() (all []taskProcess) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ := read(dir + "/environ")
		if !bytes.Contains(environ, []byte("W="+r.witness+"\x00")) {
			continue
		}
		p := taskProcess{command: strings.ReplaceAll(string(read(dir+"/cmdline")), "\x00", " ")}
		p.pid, _ = strconv.Atoi(filepath.Base(dir))
		for v := range strings.SplitSeq(string(environ), "\x00") {
			name, value, _ := strings.Cut(v, "=")
			switch name {
			case "RC_TASK":
				p.task, _ = task.ParseID(value)
			case "RC_ATTEMPT":
				p.attempt, _ = strconv.Atoi(value)
			case "RC_DEVICE":
				p.device = value
			}
		}
		all = append(all, p)
	}
	return all
}

// there says whether it still runs. One that has ended and that nobody has asked for its status does not.
func (p taskProcess) there() bool {
	return bytes.Contains(read(fmt.Sprintf("/proc/%d/environ", p.pid)), []byte("RC_TASK="+p.task.String()+"\x00"))
}

// read is what a file holds; nothing, if it cannot be read.
func read(path string) []byte {
	b, _ := os.ReadFile(path)
	return b
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
