package wire

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestErrorsCrossTheWire(t *testing.T) {
	for _, c := range codes {
		b, err := json.Marshal(NewError(Errorf(c.err, "doing this to that")))
		if err != nil {
			t.Fatal(err)
		}
		var back Error
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(&back, c.err) || back.ExitStatus() != c.status || !strings.HasPrefix(back.Error(), "doing this to that") {
			t.Errorf("%s came back as %v, status %d", c.code, &back, back.ExitStatus())
		}
	}
	if e := NewError(errors.New("open /secret/path: denied")); strings.Contains(e.Text, "secret") || e.Code != "E_INTERNAL" {
		t.Errorf("an internal error told %q", e.Text)
	}
	if e := (&Error{Code: "E_FROM_THE_FUTURE"}); !errors.Is(e, ErrInternal) || e.ExitStatus() != 70 {
		t.Error("an unknown code is not internal")
	}
}

func TestJoinCode(t *testing.T) {
	id, err := NewIdentity("main")
	if err != nil {
		t.Fatal(err)
	}
	j := NewJoinCode([]string{"192.168.1.5:8080", "[fe80::1]:8080", "nas.local:8080"}, id.Fingerprint())
	text := j.String()
	back, err := ParseJoinCode(" " + strings.ToUpper(text[:40]) + "\n" + text[40:])
	if err != nil || back.String() != text {
		t.Fatalf("came back as %v, %v", back, err)
	}
	for i := range text { // every single wrong character is noticed, up to the 1 in 1024 that two characters leave
		wrong := text[:i] + "x" + text[i+1:]
		if got, err := ParseJoinCode(wrong); wrong != text && err == nil && got.String() == text {
			t.Errorf("wrong character at %d passed", i)
		}
	}
	for _, s := range []string{"", "rcj1", "rcs1_a_b", strings.Repeat("_", 5), text[:len(text)-1]} {
		if _, err := ParseJoinCode(s); !errors.Is(err, ErrField) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestToken(t *testing.T) {
	for _, r := range clientRoles {
		tok := NewToken(r)
		back, err := ParseToken(tok.String() + "\n")
		if err != nil || back != tok || !SameHash(back.Hash(), tok.Hash()) {
			t.Errorf("%s came back as %v, %v", r, back, err)
		}
	}
	secret := NewToken(RoleAdmin).String()
	if _, err := ParseToken(secret + "x"); !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		have, need Role
		may        bool
	}{{RoleRead, RoleRead, true}, {RoleRead, RoleSubmit, false}, {RoleSubmit, RoleRead, true}, {RoleSubmit, RoleAdmin, false},
		{RoleAdmin, RoleAdmin, true}, {RoleWorker, RoleRead, false}, {"", RoleRead, false}} {
		if c.have.May(c.need) != c.may {
			t.Errorf("%q may %q: want %v", c.have, c.need, c.may)
		}
	}
}

func TestPinnedTLS(t *testing.T) {
	main, _ := NewIdentity("main")
	worker, _ := NewIdentity("worker")
	b, err := worker.PEM()
	if err != nil {
		t.Fatal(err)
	}
	if worker, err = ParseIdentity(b); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pin string
		ok  bool
	}{{main.Fingerprint(), true}, {worker.Fingerprint(), false}, {"", false}} {
		l, err := net.Listen("tcp", "127.0.0.1:0") // net.Pipe has no buffer, which TLS counts on
		if err != nil {
			t.Fatal(err)
		}
		var server *tls.Conn
		done := make(chan error, 1)
		go func() {
			sc, err := l.Accept()
			if err == nil {
				server = tls.Server(sc, ServerTLS(func(string) *Identity { return main }))
				err = server.Handshake()
				sc.Close()
			}
			done <- err
		}()
		cc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		err = tls.Client(cc, ClientTLS(worker, c.pin)).Handshake()
		if (err == nil) != c.ok {
			t.Errorf("pin %.6s: %v", c.pin, err)
		}
		cc.Close()
		l.Close()
		if <-done; c.ok && PeerFingerprint(server.ConnectionState()) != worker.Fingerprint() {
			t.Error("the main node does not see who the worker is")
		}
	}
}

// A phone that begins in 1970, or one that believes it is 2099, is who its key says.
func TestTLSIgnoresClocks(t *testing.T) {
	main, _ := NewIdentity("main")
	worker, _ := NewIdentity("worker")
	for _, year := range []int{1970, 2099} {
		for _, wrong := range []string{"worker", "main node"} {
			clock := func() time.Time { return time.Date(year, 1, 1, 0, 0, 1, 0, time.UTC) }
			server, client := ServerTLS(func(string) *Identity { return main }), ClientTLS(worker, main.Fingerprint())
			if wrong == "worker" {
				client.Time = clock
			} else {
				server.Time = clock
			}
			client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			for range 2 { // the second time it may resume the first one's session
				if peer, err := handshake(t, server, client); err != nil || peer != worker.Fingerprint() {
					t.Errorf("it is %d at the %s: %q %v", year, wrong, peer, err)
				}
			}
		}
	}
}

// A session that is resumed with another main node's key is not believed.
func TestPinHoldsOnResumption(t *testing.T) {
	main, _ := NewIdentity("main")
	server := ServerTLS(func(string) *Identity { return main })
	client := ClientTLS(nil, main.Fingerprint())
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if _, err := handshake(t, server, client); err != nil {
		t.Fatal(err)
	}
	other := ClientTLS(nil, strings.Repeat("a", 52))
	other.ServerName, other.ClientSessionCache = client.ServerName, client.ClientSessionCache
	if _, err := handshake(t, server, other); err == nil {
		t.Error("a resumed session went around the pin")
	}
}

// handshake connects two sides, has each say a word, and gives the fingerprint that the server sees.
func handshake(t *testing.T, server, client *tls.Config) (peer string, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(chan string, 1)
	go func() {
		defer close(seen)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		c := tls.Server(raw, server)
		if _, err := c.Write([]byte("x")); err == nil {
			seen <- PeerFingerprint(c.ConnectionState())
		}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := io.ReadFull(tls.Client(raw, client), make([]byte, 1)); err != nil { // with it comes the ticket of a session
		return "", err
	}
	return <-seen, nil
}

func TestConn(t *testing.T) {
	a, b := net.Pipe()
	from, to := NewConn(a), NewConn(b)
	go func() {
		from.WriteMessages(
			Message{Type: TypeHello, ID: "1", Body: Hello{Protocol: Spoken, Token: "<&>"}},
			Message{Type: TypeBye})
		io.WriteString(a, "nonsense\n")
		io.WriteString(a, `{"message_type":"x","unknown":[1,2],"data":{"a":1}}`+"\n")
		io.WriteString(a, `{"message_type":"`+strings.Repeat("y", MaxStranger))
		a.Close()
	}()
	m, err := to.ReadMessage()
	var h Hello
	if err != nil || m.ID != "1" || m.Decode(&h) != nil || h.Token != "<&>" || h.Protocol != Spoken {
		t.Fatalf("%+v %+v %v", m, h, err)
	}
	if m, err = to.ReadMessage(); err != nil || m.Type != TypeBye {
		t.Fatalf("%+v %v", m, err)
	}
	if _, err = to.ReadMessage(); !errors.Is(err, ErrJSON) {
		t.Fatal(err)
	}
	if m, err = to.ReadMessage(); err != nil || m.Type != "x" {
		t.Fatalf("%+v %v", m, err)
	}
	if _, err = to.ReadMessage(); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestNoCommonVersion(t *testing.T) {
	for _, c := range []struct {
		a, b Range
		want int
	}{{Range{1, 3}, Range{2, 5}, 3}, {Range{1, 1}, Range{1, 1}, 1}, {Range{1, 1}, Range{2, 2}, 0}, {Range{3, 4}, Range{1, 2}, 0}, {Range{1, 1}, Range{}, 0}} {
		got, err := c.a.Common(c.b)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%v %v: %d %v", c.a, c.b, got, err)
		}
	}
}

// The four messages of the first Retire-Cluster's description are the contract for names.
func TestFieldNames(t *testing.T) {
	for _, c := range []struct {
		text string
		into any
		same func(any) bool
	}{
		{`{"device_info":{"hostname":"android-phone","platform":"android","architecture":"aarch64","python_version":"3.11.0","role":"mobile"},
			"hardware_specs":{"cpu_cores":8,"memory_total":8589934592,"disk_space":128849018880,"network_interfaces":["wlan0"]},
			"capabilities":["computational","network_services","mobile_specific"]}`, new(device.Profile), func(v any) bool {
			p := v.(*device.Profile)
			return p.Info.Role == "mobile" && p.Info.Python == "3.11.0" && p.Hardware.Memory == 8589934592 && len(p.Capabilities) == 3 && p.Hardware.Interfaces[0] == "wlan0"
		}},
		{`{"system_metrics":{"cpu_usage":25.5,"memory_usage":45.2,"disk_usage":12.8,"load_average":[0.5,0.3,0.2],"uptime":86400},
			"status":"online","active_tasks":2,"last_activity":"2024-01-15T10:30:45Z"}`, new(Heartbeat), func(v any) bool {
			h := v.(*Heartbeat)
			return *h.Metrics.CPU == 25.5 && *h.Metrics.Uptime == 86400 && h.ActiveTasks == 2 && h.Status == device.Online
		}},
		{`{"task":{"task_id":"t7k3f9q2m","task_type":"python_eval","priority":"normal","timeout":300,
			"payload":{"expression":"sum(range(100000))","environment":{}},"requirements":{"min_cpu_cores":2,"min_memory_gb":1}}}`, new(Assign), func(v any) bool {
			a := v.(*Assign)
			return a.Task.Spec.Validate() == nil && a.Task.Timeout == 300 && a.Task.Requirements.CPUCores == 2 && a.Task.Requirements.MemoryGB == 1
		}},
		{`{"task_id":"t7k3f9q2m","status":"completed","execution_time":28.5,
			"result":{"output":"4999950000","exit_code":0,"metrics":{"cpu_time":25.2,"memory_peak":1048576}}}`, new(Result), func(v any) bool {
			r := v.(*Result)
			return r.Status == task.AttemptCompleted && r.Wall == 28.5 && r.Result.Output == "4999950000" && *r.Result.ExitCode == 0 && r.Result.Metrics.MemoryPeak == 1048576
		}},
	} {
		m, err := ParseMessage([]byte(`{"message_type":"x","data":` + c.text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Decode(c.into); err != nil || !c.same(c.into) {
			t.Errorf("%s: %+v %v", c.text, c.into, err)
		}
	}
}

func TestPieceKeepsBytes(t *testing.T) {
	for _, data := range []string{"", "hello\n", "\xff\x00\xfe", "half \xe2\x82", "<b>&\u2028"} {
		p := NewPiece(task.Chunk{Position: 7, Stream: task.Stderr, Data: []byte(data)})
		b, _ := json.Marshal(p)
		var back Piece
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		c, err := back.Chunk()
		if err != nil || string(c.Data) != data || c.Stream != task.Stderr || c.Position != 7 {
			t.Errorf("%q came back as %+v, %v", data, c, err)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, s := range []string{`{"message_type":"hello","data":{"protocol":{"min":1,"max":1}}}`, `{}`, `[]`, strings.Repeat("[", 100), `{"message_type":"a","data":"\u0000"}`} {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"message_type":"a","message_id":"1","reply_to":"2","sender_id":"s","target_id":"t","timestamp":"z","data":[{"x":"}\\\""}] } `))
	f.Add([]byte(`{"message_type":"a", "Message_Type":"b", "message_type" : "c","data":{},"data":{"y":1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if short, ok := split(line); ok && CheckJSON(line) == nil {
			var whole Message
			if err := json.Unmarshal(line, &whole); err != nil || !reflect.DeepEqual(short, whole) {
				t.Fatalf("split says %+v, encoding/json %+v (%v)", short, whole, err)
			}
		}
		m, err := ParseMessage(line)
		if err != nil {
			if !errors.Is(err, ErrJSON) {
				t.Fatalf("%v is not ErrJSON", err)
			}
			return
		}
		for _, into := range []any{new(Hello), new(Heartbeat), new(Assign), new(Result), new(Submit), new(FollowEvents)} {
			if err := m.Decode(into); err != nil && !errors.Is(err, ErrField) {
				t.Fatalf("%v is not ErrField", err)
			}
		}
	})
}

func FuzzJoinCode(f *testing.F) {
	f.Add("rcj1_ge_a_b_c_d")
	f.Add(NewJoinCode([]string{"192.168.1.5:8080", "[fe80::1]:8080"}, strings.Repeat("a", 52)).String())
	f.Fuzz(func(t *testing.T, s string) {
		if j, err := ParseJoinCode(s); err == nil && ParseBack(j) != j.String() {
			t.Fatalf("%q is not its own text", s)
		}
	})
}

func ParseBack(j JoinCode) string {
	back, err := ParseJoinCode(j.String())
	if err != nil {
		return err.Error()
	}
	return back.String()
}

// What is written by this package is read the short way.
func TestOwnMessagesAreSplit(t *testing.T) {
	var b bytes.Buffer
	d := drafts.Get().(*draft)
	for _, body := range []any{nil, Accept{}, Assign{Task: AssignedTask{Spec: task.Spec{Type: task.TypeEcho, Payload: []byte(`{"message":"<\"é}"}`)}}}} {
		d.Reset()
		if err := d.add(&Message{Type: "x", Sender: "pi", ID: "7", Body: body}, "2026-01-15T10:30:00.000Z"); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		b.Write(bytes.TrimSpace(d.Bytes()))
		if m, ok := split(b.Bytes()); !ok || m.Type != "x" || m.ID != "7" || (body != nil) != (len(m.Data) > 0) {
			t.Errorf("%s: %v %+v", b.Bytes(), ok, m)
		}
	}
}
