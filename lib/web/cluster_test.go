package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/reload"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// The daemons are the real ones, as processes: web knows them by the protocol only.
var programs = struct {
	sync.Once
	dir string
	err error
}{}

func TestMain(m *testing.M) {
	status := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(status)
}

func program(t *testing.T, name string) string {
	t.Helper()
	programs.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "rc-web-test"); programs.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", programs.dir+string(filepath.Separator), "../../cmd/rc-mained", "../../cmd/rc-workerd").CombinedOutput()
		if err != nil {
			programs.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// process is a daemon that runs until the end of the test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	once sync.Once
}

// start returns once the daemon has logged what says that it is ready.
func start(t *testing.T, ready, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program(t, name), args...)}
	log, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(os.Kill) })
	lines := bufio.NewScanner(log)
	var seen bytes.Buffer
	for lines.Scan() {
		fmt.Fprintln(&seen, lines.Text())
		if strings.Contains(lines.Text(), ready) {
			go io.Copy(io.Discard, log)
			return p
		}
	}
	t.Fatalf("%s: never %q:\n%s", name, ready, &seen)
	return nil
}

// stop lets the daemon end as it does when it is told to.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(how os.Signal) {
	p.once.Do(func() {
		p.cmd.Process.Signal(how)
		p.cmd.Wait()
	})
}

// startMain returns once the main node can be found.
func startMain(t *testing.T, data string) *process {
	t.Helper()
	address := filepath.Join(data, wire.FileAddress)
	w, err := reload.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	there, found := context.WithCancel(t.Context())
	defer found()
	var watching sync.WaitGroup
	watching.Go(func() {
		w.Run(there, time.Millisecond, func() {
			if _, err := os.Stat(address); err == nil {
				found()
			}
		})
	})
	p := start(t, "msg=listening", "rc-mained", "--data", data, "--listen", "127.0.0.1:0")
	watching.Wait()
	return p
}

func startWorker(t *testing.T, data, name string) *process {
	p := start(t, "msg=", "rc-workerd", "--data", t.TempDir(), "--main-data", data, "--name", name, "--slots", "1")
	return p
}

// site is a cluster with an rc-web that serves it.
type site struct {
	t      *testing.T
	data   string
	url    string
	beyond bool // not on loopback alone
	web    *Server
	http   *http.Client // leads nowhere by itself
}

// open serves the main node of a data directory, whether it runs or not, on loopback.
func open(t *testing.T, data string) *site { return openAt(t, data, "127.0.0.1:0", Options{}) }

// openBeyond serves it with TLS, as beyond this host.
func openBeyond(t *testing.T, data string, o Options) *site { return openAt(t, data, "0.0.0.0:0", o) }

func openAt(t *testing.T, data, address string, o Options) *site {
	t.Helper()
	o.Find = func() (client.Options, error) { return client.Find(client.Options{Data: data}, os.LookupEnv) }
	o.Log = slog.New(slog.DiscardHandler)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, data: data, url: "http://127.0.0.1" + l.Addr().String()[strings.LastIndex(l.Addr().String(), ":"):], beyond: !IsLoopback(l.Addr())}
	trust := x509.NewCertPool()
	if s.beyond {
		if o.Certificate, err = OwnCertificate(t.TempDir(), l.Addr(), o.Hosts, o.Log); err != nil {
			t.Fatal(err)
		}
		trust.AddCert(o.Certificate.current.Load().Leaf)
		s.url = "https" + strings.TrimPrefix(s.url, "http")
	}
	ways := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	s.http = &http.Client{Transport: ways, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.web = New(o)
	ctx, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := s.web.Serve(ctx, l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		served.Wait()
		ways.CloseIdleConnections()
	})
	return s
}

// newSite is a main node and an rc-web.
func newSite(t *testing.T) *site {
	data := t.TempDir()
	startMain(t, data)
	return open(t, data)
}

// client gives an admin's client of the main node.
func (s *site) client() *client.Client {
	s.t.Helper()
	o, err := client.Find(client.Options{Data: s.data}, os.LookupEnv)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (s *site) token(role wire.Role) string {
	s.t.Helper()
	made, err := s.client().MakeToken(s.t.Context(), wire.MakeToken{Role: role, Grant: grantOf(role)})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.Token
}

// submit submits echo tasks and gives their ids.
func (s *site) submit(specs ...task.Spec) []string {
	s.t.Helper()
	taken, err := s.client().Submit(s.t.Context(), specs, client.SubmitOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, id := range taken.Tasks {
		ids = append(ids, id.String())
	}
	return ids
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers are "Name: value"; Host is one of them.
func (s *site) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r := s.request(method, path, body, headers...)
	resp, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *site) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do("GET", path, "", headers...)
}

func (s *site) request(method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	return r
}

// event is a server-sent event.
type event struct{ id, name, data string }

// events reads a stream.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

func (s *site) events(path string, headers ...string) *events {
	s.t.Helper()
	resp, err := s.http.Do(s.request("GET", path, "", headers...))
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("%s: %s, %s", path, resp.Status, b)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	s.t.Cleanup(func() { resp.Body.Close() })
	return &events{s.t, lines, func() { resp.Body.Close() }}
}

// next gives the next event that has data. It waits for it as long as the test may take.
func (e *events) next() (v event) {
	e.t.Helper()
	for e.lines.Scan() {
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "id":
			v.id = value
		case "event":
			v.name = value
		case "data":
			v.data = value
		case "":
			if v.data != "" {
				return v
			}
		}
	}
	e.t.Fatalf("the stream ended: %v", e.lines.Err())
	return v
}

// until gives the first event with a text in its data.
func (e *events) until(text string) event {
	e.t.Helper()
	for {
		if v := e.next(); strings.Contains(v.data, text) {
			return v
		}
	}
}

var echo = task.Spec{Type: task.TypeEcho, Payload: []byte(`{"message":"hello"}`)}

// finished waits for the end of a task.
func (s *site) finished(id string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for _, err := range s.client().Output(ctx, wire.FollowOutput{Task: id, Follow: true}) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// grantOf is all that a token of a role can be granted.
func grantOf(role wire.Role) cluster.Grant {
	if role == wire.RoleSubmit {
		return cluster.Whole
	}
	return cluster.Grant{}
}
