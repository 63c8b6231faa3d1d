package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// vector is one hostile input with what it is to be answered, from a file of testdata/hostile:
//
//	# what it is, in a sentence
//	via: how it comes in (below)
//	expect: the answers, in their order
//	then: close or open, where that is to be seen
//
//	the input itself, a text/template
//
// via is raw (TCP), stranger (TLS without a certificate), unknown (TLS with one that nobody knows), device (a device of its own after its
// welcome), read, submit, exec, admin (clients after theirs), http (a request to rc-web), or the name of a command, whose arguments the lines
// "arg: …" are and whose standard input the input is. An answer is ack, welcome or the code of an error; of http it is the status, and the code
// if there is one; of a command its exit status and, after that, a regexp that what it prints to stderr matches. nothing is no answer.
type vector struct {
	name, what, via, then string
	expect                []string
	args                  []string
	input                 string
}

func readVector(path string) (v vector, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	v.name = strings.TrimSuffix(filepath.Base(path), ".txt")
	head, input, _ := strings.Cut(string(b), "\n\n")
	v.input = strings.TrimSuffix(input, "\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\n"), "\n") {
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "# "):
			v.what += strings.TrimPrefix(line, "# ")
		case key == "via":
			v.via = value
		case key == "expect" && strings.HasPrefix(v.via, "rc-"):
			v.expect = strings.SplitN(value, " ", 2)
		case key == "expect":
			v.expect = strings.Fields(value)
		case key == "then":
			v.then = value
		case key == "arg":
			v.args = append(v.args, value)
		case line == "arg:":
			v.args = append(v.args, "")
		default:
			return v, fmt.Errorf("%s: %q is no line of a header (%v)", path, line, ok)
		}
	}
	if v.what == "" || v.via == "" || len(v.expect) == 0 {
		return v, fmt.Errorf("%s: says not what it is, how it comes in, or what is expected", path)
	}
	return v, nil
}

// stage is what vectors are played on: a main node, rc-web, and somebody honest whose work goes on.
type stage struct {
	*rig
	web     string // host:port
	secrets map[string]string
	mu      sync.Mutex
	hosts   int
	victim  task.Lease // of an attempt that a device holds which none of the vectors is
}

func newStage(t *testing.T, bin string) *stage {
	s := &stage{rig: newRig(t, bin, times{20 * time.Second, time.Minute}, time.Second), secrets: map[string]string{}}
	web := s.process("web", "rc-web", time.Second, "--data="+s.path("main"), "--web-data="+s.path("web"), "--listen=127.0.0.1:0", "--addr-file="+s.path("web.addr"))
	s.workers = append(s.workers, web) // to be ended with them
	web.run()
	if !waitFor(ready, func() bool { s.web = strings.TrimSpace(string(read(s.path("web.addr")))); return s.web != "" }) {
		t.Fatalf("rc-web does not start: %v", web.failed)
	}
	c := s.client()
	defer c.Close()
	for name, m := range map[string]wire.MakeToken{
		"read": {Role: wire.RoleRead}, "submit": {Role: wire.RoleSubmit}, "exec": {Role: wire.RoleSubmit, Grant: whole}, "admin": {Role: wire.RoleAdmin},
		"old": {Role: wire.RoleAdmin, Expires: 1}, "revoked": {Role: wire.RoleAdmin},
	} {
		made, err := c.MakeToken(within(t, ready), m)
		if err != nil {
			t.Fatal(err)
		}
		s.secrets[name] = made.Token
		if name == "revoked" {
			if err := c.RevokeToken(within(t, ready), made.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	login, err := c.MakeLogin(within(t, ready), wire.MakeLogin{})
	if err != nil {
		t.Fatal(err)
	}
	s.secrets["login"] = login.Code
	for _, name := range []string{"code", "usedcode", "oldcode"} {
		made, err := c.Invite(within(t, ready), wire.Invite{Addresses: []string{s.options.Main}, Expires: map[bool]int64{true: 1}[name == "oldcode"]})
		if err != nil {
			t.Fatal(err)
		}
		s.secrets[name] = made.Code
	}
	s.device(t, "user", s.secrets["usedcode"])
	s.victimize(t, c)
	ok := waitFor(ready, func() bool { // what is to be old by now
		_, err := client.Dial(within(t, ready), client.Options{Main: s.options.Main, Pin: s.options.Pin, Token: s.secrets["old"]})
		return errors.Is(err, wire.ErrAuth)
	})
	if !ok {
		t.Fatal("a token for a second is good still")
	}
	return s
}

// victimize has a device hold an attempt that is no business of the others.
func (s *stage) victimize(t *testing.T, c *client.Client) {
	d := s.device(t, "victim", s.invite([]string{s.options.Main}))
	if err := d.WriteMessages(wire.Message{Type: wire.TypeRegister, ID: "r", Body: &device.Profile{Slots: 1, TaskTypes: []string{"bait"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Submit(within(t, ready), []task.Spec{{Type: "bait", Payload: json.RawMessage("{}")}}, client.SubmitOptions{}); err != nil {
		t.Fatal(err)
	}
	d.SetReadDeadline(time.Now().Add(ready))
	for {
		m, err := d.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var a wire.Assign
		if m.Type == wire.TypeTaskAssign && m.Decode(&a) == nil {
			s.victim = a.Task.Lease
			return
		}
	}
}

// from is another address of this host each time, so that what one vector does is not laid at another's door.
func (s *stage) from() *net.TCPAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts++
	return &net.TCPAddr{IP: net.IPv4(127, 66, byte(s.hosts>>8), byte(s.hosts))}
}

func (s *stage) dial(t *testing.T, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: s.from(), Timeout: ready}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// secure is a connection with TLS, with a certificate or without.
func (s *stage) secure(t *testing.T, self *wire.Identity) *wire.Conn {
	t.Helper()
	c := tls.Client(s.dial(t, s.options.Main), wire.ClientTLS(self, s.options.Pin))
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := wire.NewConn(c)
	conn.SetLimit(wire.MaxMessage)
	return conn
}

// say sends a message and gives the answer to it.
func say(t *testing.T, c *wire.Conn, messageType string, body any) wire.Message {
	t.Helper()
	if err := c.WriteMessages(wire.Message{Type: messageType, ID: "say", Body: body}); err != nil {
		t.Fatal(err)
	}
	for {
		c.SetReadDeadline(time.Now().Add(ready))
		m, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("%s: %v", messageType, err)
		}
		if m.ReplyTo == "say" {
			return m
		}
	}
}

// device is a device that has joined with a code and was welcomed.
func (s *stage) device(t *testing.T, name, code string) *wire.Conn {
	t.Helper()
	self, err := wire.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	j, err := wire.ParseJoinCode(code)
	if err != nil {
		t.Fatal(err)
	}
	join := s.secure(t, self)
	if m := say(t, join, wire.TypeJoin, &wire.Join{Protocol: wire.Spoken, Invite: j.ID, Secret: j.Secret, Name: name}); m.Type != wire.TypeAck {
		t.Fatalf("join: %s %s", m.Type, m.Data)
	}
	join.Close()
	c := s.secure(t, self)
	if m := say(t, c, wire.TypeHello, &wire.Hello{Protocol: wire.Spoken, BootCount: 1, Session: 1}); m.Type != wire.TypeWelcome {
		t.Fatalf("hello: %s %s", m.Type, m.Data)
	}
	return c
}

// client is the connection of a client that was welcomed.
func (s *stage) welcomed(t *testing.T, token string) *wire.Conn {
	t.Helper()
	c := s.secure(t, nil)
	if m := say(t, c, wire.TypeHello, &wire.Hello{Protocol: wire.Spoken, Token: token}); m.Type != wire.TypeWelcome {
		t.Fatalf("hello: %s %s", m.Type, m.Data)
	}
	return c
}

// fill makes the input of a vector.
func (s *stage) fill(t *testing.T, text string) string {
	t.Helper()
	code := func(name string) wire.JoinCode {
		j, err := wire.ParseJoinCode(s.secrets[name])
		if err != nil {
			t.Fatalf("code %q: %v", name, err)
		}
		return j
	}
	lease, err := json.Marshal(s.victim)
	if err != nil {
		t.Fatal(err)
	}
	out := new(strings.Builder)
	parsed, err := template.New("").Funcs(template.FuncMap{
		"repeat": func(s string, n int) string { return strings.Repeat(s, n) },
		"hex":    func(s string) (string, error) { b, err := hex.DecodeString(s); return string(b), err },
		"token":  func(name string) string { return s.secrets[name] },
		"codeid": func(name string) string { return code(name).ID }, "secret": func(name string) string { return code(name).Secret },
		"fields": func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `"f%d":0,`, i)
			}
			return strings.TrimSuffix(b.String(), ",")
		},
		"victim": func() string { return strings.Trim(string(lease), "{}") },
		"task":   func() string { return s.victim.Task.String() },
		"web":    func() string { return s.web }, "main": func() string { return s.options.Main }, "dir": func() string { return s.dir },
	}).Parse(text)
	if err == nil {
		err = parsed.Execute(out, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHostile plays every vector.
func TestHostile(t *testing.T) {
	paths, err := filepath.Glob("testdata/hostile/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	for _, p := range paths {
		v, err := readVector(p)
		if err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, v)
	}
	l := begin(t, "hostile")
	s := newStage(t, build(t))
	honest := newHonest(s)
	before := s.main.memory()
	var group sync.WaitGroup
	next := make(chan vector)
	for range 16 { // some wait until they are cut off
		group.Go(func() {
			for v := range next {
				t.Run(v.name, func(t *testing.T) { s.play(t, &v) })
			}
		})
	}
	for _, v := range vectors {
		next <- v
	}
	close(next)
	group.Wait()
	honest.end(t)
	s.keepsSecrets(t)
	grown := s.main.memory() - before
	if grown > 32<<20 {
		t.Errorf("the main node has grown by %d KiB", grown>>10)
	}
	if lives := s.main.count(); lives != 1 {
		t.Errorf("the main node had %d lives", lives)
	}
	const least = 240
	if len(vectors) < least {
		t.Errorf("%d vectors, %d are to be there", len(vectors), least)
	}
	l.report("vectors", len(vectors), "main_grew_kib", grown>>10)
}

// keepsSecrets looks for every secret of this test where none may stand: logs, the database with its audit log, what rc-web serves, arguments.
func (s *stage) keepsSecrets(t *testing.T) {
	spy := &spy{r: s.rig, seen: map[string]bool{}}
	for _, secret := range s.secrets {
		spy.tokens = append(spy.tokens, secretPart(secret))
	}
	spy.secrets = append(spy.tokens, s.victim.Token)
	for _, path := range []string{"/", "/text/logs", "/text/devices", "/text/tasks", "/text/status", "/text/metrics", "/api/v1/devices", "/api/v1/tasks", "/api/v1/tasks/" + s.victim.Task.String()} {
		reply, err := http.Get("http://" + s.web + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reply.Body)
		reply.Body.Close()
		if err != nil || len(text) == 0 {
			t.Fatalf("%s: %d bytes, %v", path, len(text), err)
		}
		spy.search(path, text, spy.secrets)
	}
	audit, err := exec.CommandContext(t.Context(), filepath.Join(s.bin, "rc-mained"), "audit", "print", "--data", s.path("main")).Output()
	if err != nil || !bytes.Contains(audit, []byte(`"result":"E_AUTH"`)) {
		t.Errorf("the audit log: %v, %d bytes, and nothing of who was refused", err, len(audit))
	}
	spy.search("the audit log", audit, spy.secrets)
	for _, found := range spy.find() {
		t.Error(found)
	}
}

// play plays one vector.
func (s *stage) play(t *testing.T, v *vector) {
	switch v.via {
	case "raw", "stranger", "unknown", "device", "read", "submit", "exec", "admin":
		s.playFramed(t, v)
	case "http":
		s.playHTTP(t, v)
	default:
		s.playCommand(t, v)
	}
}

// connect makes the connection on which a vector comes in.
func (s *stage) connect(t *testing.T, via string) net.Conn {
	switch via {
	case "raw":
		return s.dial(t, s.options.Main)
	case "stranger":
		return s.secure(t, nil)
	case "unknown":
		self, err := wire.NewIdentity("nobody")
		if err != nil {
			t.Fatal(err)
		}
		return s.secure(t, self)
	case "device":
		return s.device(t, fmt.Sprintf("d%d", s.from().IP.To4()[3]), s.invite([]string{s.options.Main}))
	}
	return s.welcomed(t, s.secrets[via])
}

const answerWithin = 15 * time.Second // a stranger has ten seconds to say something

func (s *stage) playFramed(t *testing.T, v *vector) {
	c := s.connect(t, v.via)
	input := s.fill(t, v.input)
	if v.via != "raw" && !strings.HasSuffix(v.what, "(unfinished)") {
		input += "\n"
	}
	sent := make(chan error, 1)
	go func() { // it may be answered, and cut off, before it was sent
		_, err := io.WriteString(c, input)
		sent <- err
	}()
	c.SetDeadline(time.Now().Add(answerWithin))
	r := bufio.NewReaderSize(c, 1<<20)
	for i, want := range v.expect {
		if want == "nothing" {
			break
		}
		if got := answerFrom(r); got != want {
			t.Fatalf("answer %d is %s, want %s", i+1, got, want)
		}
	}
	switch v.then {
	case "close":
		if got := answerFrom(r); got != "EOF" {
			t.Fatalf("it was to be closed, and there is %s", got)
		}
	case "open":
		<-sent
		greet := `{"message_type":"hello","message_id":"after","data":{"protocol":{"min":1,"max":1},"token":"` + s.secrets["read"] + `"}}`
		want := "welcome"
		if v.via == "device" {
			greet, want = `{"message_type":"heartbeat","message_id":"after","data":{}}`, "ack"
		} else if v.via != "stranger" {
			greet, want = `{"message_type":"ping","message_id":"after"}`, "ack"
		}
		if _, err := io.WriteString(c, greet+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := answerFrom(r); got != want {
			t.Fatalf("it was to go on, and there is %s", got)
		}
	}
}

// answerFrom reads the next answer: ack, welcome, the code of an error; or EOF, or why there is none.
func answerFrom(r *bufio.Reader) string {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && len(bytes.TrimSpace(line)) == 0 {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "silence"
			}
			return "EOF" // also where it was reset, since not all that came was read
		}
		var m struct {
			Type string     `json:"message_type"`
			Data wire.Error `json:"data"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Sprintf("%.80q", line)
		}
		switch m.Type {
		case wire.TypeError:
			return cmp.Or(m.Data.Code, "PLAIN") // the first Retire-Cluster knew no codes
		case wire.TypeAck, wire.TypeWelcome:
			return m.Type
		}
	}
}

func (s *stage) playHTTP(t *testing.T, v *vector) {
	c := s.dial(t, s.web)
	c.SetDeadline(time.Now().Add(answerWithin))
	head, body, _ := strings.Cut(s.fill(t, v.input), "\n\n")
	request := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n"
	if body != "" && !strings.Contains(strings.ToLower(head), "content-length") && !strings.Contains(strings.ToLower(head), "transfer-encoding") {
		request += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	go io.WriteString(c, request+"\r\n"+body)
	reply, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		if v.expect[0] == "nothing" {
			return
		}
		t.Fatal(err)
	}
	defer reply.Body.Close()
	got := []string{strconv.Itoa(reply.StatusCode)}
	text, _ := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if len(v.expect) > 1 {
		var e struct {
			Code string `json:"error_code"`
		}
		json.Unmarshal(text, &e)
		got = append(got, e.Code)
	}
	if !slices.Equal(got, v.expect) {
		t.Fatalf("%q, want %q: %.300s", got, v.expect, text)
	}
	if reply.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin may read this")
	}
}

func (s *stage) playCommand(t *testing.T, v *vector) {
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	var args []string
	for _, a := range v.args {
		args = append(args, s.fill(t, a))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, v.via), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "RC_DATA=" + s.path("main")}
	cmd.Stdin = strings.NewReader(s.fill(t, v.input))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	status := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		status = e.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if strconv.Itoa(status) != v.expect[0] {
		t.Fatalf("status %d, want %s: %.300s", status, v.expect[0], stderr.String())
	}
	if len(v.expect) > 1 && !regexp.MustCompile(v.expect[1]).MatchString(stderr.String()) {
		t.Fatalf("%.300q does not match %s", stderr.String(), v.expect[1])
	}
}
