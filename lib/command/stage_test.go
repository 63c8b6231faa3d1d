//go:build cgo

package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// stage is a real main node in this process (whose database needs cgo), with a worker that is played: it runs shell scripts and says what wire wants
// to hear, nothing more.
type stage struct {
	t    *testing.T
	dir  string
	addr string
	stop func() // the main node
}

func newStage(t *testing.T) *stage {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	s := &stage{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start starts the main node, again at the same address.
func (s *stage) start() {
	ctx, cancel := context.WithCancel(context.Background())
	node, err := mainnode.Open(ctx, s.dir, "test", mainnode.Defaults(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if err := node.Announce(l); err != nil {
		s.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { node.Serve(ctx, l) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		node.Close()
	})
	if status, _, errs := s.run("rc-ctl", new(Ctl), "", "ping"); status != 0 {
		s.t.Fatal("the main node does not answer: ", errs)
	}
}

// run runs a command against the stage's main node.
func (s *stage) run(name string, cmd any, stdin string, args ...string) (status int, out, errs string) {
	return s.runUntil(context.Background(), name, cmd, stdin, args...)
}

func (s *stage) runUntil(ctx context.Context, name string, cmd any, stdin string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	env := func(name string) (string, bool) {
		return map[string]string{"RC_DATA": s.dir}[name], name == "RC_DATA"
	}
	status = cli.Exec(ctx, name, "", cmd, args, env, cli.Std{In: strings.NewReader(stdin), Out: &o, Err: &e})
	return status, o.String(), e.String()
}

// player is the worker.
type player struct {
	*wire.Conn
	t    *testing.T
	wg   sync.WaitGroup
	mu   sync.Mutex
	stop map[task.ID]context.CancelFunc
}

func (s *stage) file(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// worker joins and serves until the test ends.
func (s *stage) worker(name string, slots int) {
	identity, err := wire.NewIdentity(name)
	if err != nil {
		s.t.Fatal(err)
	}
	first := s.connect(identity)
	first.ask(wire.TypeJoin, wire.Join{Protocol: wire.Spoken, Token: s.file(wire.FileToken), Name: name})
	first.Close()
	p := s.connect(identity)
	p.ask(wire.TypeHello, wire.Hello{Protocol: wire.Spoken, BootCount: 1, Session: 1})
	p.SetLimit(wire.MaxMessage)
	p.WriteMessages(wire.Message{Type: wire.TypeRegister, ID: "2", Body: device.Profile{
		Info: device.Info{Hostname: name, Platform: "linux"}, Hardware: device.Hardware{CPUCores: 4},
		TaskTypes: []string{task.TypeShell, task.TypeEcho}, Slots: slots}})
	p.wg.Go(p.serve)
	s.t.Cleanup(func() {
		p.Close()
		p.wg.Wait()
	})
}

func (s *stage) connect(identity *wire.Identity) *player {
	raw, err := tls.Dial("tcp", s.addr, wire.ClientTLS(identity, s.file(wire.FileFingerprint)))
	if err != nil {
		s.t.Fatal(err)
	}
	return &player{Conn: wire.NewConn(raw), t: s.t, stop: map[task.ID]context.CancelFunc{}}
}

func (p *player) ask(kind string, body any) {
	p.t.Helper()
	p.WriteMessages(wire.Message{Type: kind, ID: "1", Body: body})
	if m, err := p.ReadMessage(); err != nil || m.Type == wire.TypeError {
		p.t.Fatalf("%s: %s, %v", kind, m.Data, err)
	}
}

func (p *player) serve() {
	for {
		m, err := p.ReadMessage()
		if err != nil {
			return
		}
		switch m.Type {
		case wire.TypeTaskAssign:
			var a wire.Assign
			if err := m.Decode(&a); err != nil {
				p.t.Error(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			p.mu.Lock()
			p.stop[a.Task.Task] = cancel
			p.mu.Unlock()
			p.wg.Go(func() { p.perform(ctx, &a.Task) })
		case wire.TypeTaskCancel:
			var c wire.Cancel
			m.Decode(&c)
			p.mu.Lock()
			p.stop[c.Task]()
			p.mu.Unlock()
		}
	}
}

// printer sends what is printed as pieces of output.
type printer struct {
	p        *player
	lease    task.Lease
	mu       *sync.Mutex
	position *int64
	stream   task.Stream
}

func (w printer) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), wire.MaxPiece)]
		rest = rest[len(piece):]
		c := task.Chunk{Position: *w.position, Stream: w.stream, Data: piece}
		w.p.WriteMessages(wire.Message{Type: wire.TypeTaskOutput, Body: wire.Output{Lease: w.lease, Piece: wire.NewPiece(c)}})
		*w.position = c.End()
	}
	return len(b), nil
}

// perform runs an attempt.
func (p *player) perform(ctx context.Context, a *wire.AssignedTask) {
	p.WriteMessages(wire.Message{Type: wire.TypeTaskAccept, Body: wire.Accept{Lease: a.Lease}})
	out := printer{p, a.Lease, new(sync.Mutex), new(int64), task.Stdout}
	errs := out
	errs.stream = task.Stderr
	code := 0
	if a.Type == task.TypeEcho {
		var e task.Echo
		json.Unmarshal(a.Payload, &e)
		io.WriteString(out, e.Message)
	} else {
		code = shell(ctx, a, out, errs)
	}
	r := wire.Result{Lease: a.Lease, Status: task.AttemptCompleted, OutputBytes: *out.position, Result: wire.ResultBody{ExitCode: &code}}
	if code != 0 {
		r.Status = task.AttemptFailed
	}
	if ctx.Err() != nil {
		r.Status = task.AttemptCancelled
	}
	p.WriteMessages(wire.Message{Type: wire.TypeTaskResult, ID: "r" + a.Task.String(), Body: r})
}

func shell(ctx context.Context, a *wire.AssignedTask, out, errs io.Writer) int {
	var s task.Shell
	json.Unmarshal(a.Payload, &s)
	c := exec.CommandContext(ctx, "sh", "-c", s.Script)
	c.Stdout, c.Stderr = out, errs
	if err := c.Run(); err != nil {
		return c.ProcessState.ExitCode()
	}
	return 0
}
