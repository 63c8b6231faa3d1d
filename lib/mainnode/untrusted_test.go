package mainnode

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// firstResult is the result of an answer, as a client of the first Retire-Cluster reads it.
type firstResult struct {
	Success bool
	Message string
	Count   int
	Devices []struct {
		ID     string `json:"device_id"`
		Status string
	}
	Device *struct {
		ID   string `json:"device_id"`
		Tags []string
	}
	Beats []struct {
		Metrics map[string]any
	} `json:"recent_heartbeats"`
}

// first says something as such a client does, in a round of its own.
func (r *rig) first(format string, args ...any) (got firstResult) {
	r.t.Helper()
	m, err := wire.ParseFirst(fmt.Appendf(nil, format, args...))
	if err != nil {
		r.t.Fatal(err)
	}
	r.round(Ask(func(c *Core) {
		var reply struct{ Data struct{ Result *firstResult } }
		reply.Data.Result = &got
		if err := json.Unmarshal(wire.FirstAck(&m, c.now, c.first("192.0.2.9", &m)), &reply); err != nil {
			r.t.Fatal(err)
		}
	}))
	return got
}

func (r *rig) register(name string) firstResult {
	r.t.Helper()
	return r.first(`{"message_type":"register","data":{"device_id":%q,"role":"mobile","platform":"android","cpu_count":8,"tags":["kitchen"]}}`, name)
}

func (r *rig) beat(name string, cpu int) firstResult {
	r.t.Helper()
	return r.first(`{"message_type":"heartbeat","sender_id":%q,"data":{"metrics":{"cpu_usage":%d}}}`, name, cpu)
}

func (r *rig) shown(name string) device.Device {
	r.t.Helper()
	d := r.c.devices[name]
	if d == nil {
		r.t.Fatalf("%s is not known", name)
	}
	return r.c.shownDevice(d)
}

func TestUntrustedIsSeenByItsHeartbeats(t *testing.T) {
	r := newRig(t)
	if got := r.beat("phone", 5); got.Success || !strings.Contains(got.Message, "register first") {
		t.Errorf("a heartbeat before it registered: %+v", got)
	}
	if got := r.register("phone"); !got.Success {
		t.Fatal(got.Message)
	}
	if line := string(r.c.audited.Line); !strings.Contains(line, `"who":"plain","from":"192.0.2.9","what":"register","on":"phone","result":"ok"`) {
		t.Errorf("the audit log says %s", line)
	}
	d := r.shown("phone")
	if d.Status != device.Online || !d.Untrusted || d.Reason != untrustedWords || d.Fingerprint != "" || d.Profile.Slots != 0 || d.Address != "192.0.2.9" || d.Profile.Info.Role != "mobile" {
		t.Errorf("%+v", d)
	}
	r.pass(4 * time.Minute)
	r.beat("phone", 20)
	r.pass(4 * time.Minute)
	if got := r.shown("phone"); got.Status != device.Online || *got.Metrics.CPU != 20 {
		t.Errorf("%+v", got)
	}
	r.pass(2 * time.Minute)
	if got := r.shown("phone"); got.Status != device.Offline || !strings.HasPrefix(got.Reason, "silent for 5m") || !strings.HasSuffix(got.Reason, untrustedWords) {
		t.Errorf("%+v", got)
	}
	r.pass(2 * r.c.set.Lease()) // nothing is left that could end
	r.start()
	if got := r.shown("phone"); got.Status != device.Offline || !got.Untrusted || got.Profile.Info.Platform != "android" || got.Profile.Tags[0] != "kitchen" {
		t.Errorf("after a restart: %+v", got)
	}
	if got := r.beat("phone", 30); !got.Success || r.shown("phone").Status != device.Online {
		t.Errorf("after a restart: %+v", got)
	}
	if r.register("phone"); !r.c.batch.Empty() {
		t.Error("what came back from the store is not what it said")
	}
	info := r.first(`{"message_type":"device_info","data":{"device_id":"phone"}}`)
	if info.Device == nil || info.Device.ID != "phone" || len(info.Beats) != 1 || info.Beats[0].Metrics["cpu_usage"] != 30.0 {
		t.Errorf("%+v", info)
	}
	if info := r.first(`{"message_type":"device_info","data":{"device_id":"pho"}}`); info.Device != nil {
		t.Errorf("%+v", info)
	}
}

// Who beats or registers faster than it may costs no commit and changes nothing.
func TestUntrustedIsHeardOnceInAWhile(t *testing.T) {
	r := newRig(t)
	r.register("phone")
	r.beat("phone", 10)
	commits := r.c.lastEvent
	for range 100 {
		r.now = r.now.Add(50 * time.Millisecond)
		if got := r.beat("phone", 90); !got.Success {
			t.Fatal(got.Message)
		}
		r.register("phone")
		if !r.c.batch.Empty() {
			t.Fatal("what changes nothing is written")
		}
	}
	if d := r.c.devices["phone"]; *d.metrics.CPU != 10 || len(d.beats.kept) != 1 || r.c.lastEvent != commits {
		t.Errorf("it was heard in between: %+v", d.beats)
	}
	if got := r.first(`{"message_type":"register","data":{"device_id":"phone","role":"another"}}`); got.Success || r.shown("phone").Profile.Info.Role != "mobile" {
		t.Errorf("its second self: %+v", got)
	}
	r.now = r.now.Add(10 * time.Second)
	if got := r.first(`{"message_type":"register","data":{"device_id":"phone","role":"another"}}`); !got.Success || r.shown("phone").Profile.Info.Role != "another" {
		t.Errorf("later: %+v", got)
	}
	for i := range 2 * keptBeats {
		r.now = r.now.Add(10 * time.Second)
		r.beat("phone", i)
	}
	if d := r.c.devices["phone"]; len(d.beats.kept) != keptBeats || *d.beats.kept[0].Metrics.CPU != 2*keptBeats-1 {
		t.Errorf("%+v", d.beats.kept)
	}
}

func TestUntrustedIsGivenNoTask(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	r.register("phone")
	r.submit(admin, 3)
	r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Device = "phone" })
	for range 10 {
		r.pass(10 * time.Second)
		r.beat("phone", 0)
	}
	if d := r.c.devices["phone"]; len(d.held) != 0 || len(r.c.ready) != 0 || r.c.queue.Len() != 4 {
		t.Errorf("it holds %d, %d wait", len(d.held), r.c.queue.Len())
	}
	if s := r.c.status(); s.Slots != 0 || s.DevicesOnline != 1 {
		t.Errorf("%+v", s)
	}
	pi := r.device("pi", 4)
	if given := pi.assigned(); len(given) != 3 {
		t.Errorf("one that has a key was given %d", len(given))
	}
	for _, verb := range []string{wire.TypeDrain, wire.TypeUndrain, wire.TypeWake, wire.TypeApprove} {
		e, ok := r.ask(admin, &deviceAction{verb: verb, name: "phone"}).(*wire.Error)
		if !ok || e.Code != "E_CONFLICT" || !strings.Contains(e.Text, "phone is untrusted") {
			t.Errorf("%s: %v", verb, e)
		}
	}
}

// A name that belongs to a key, or ever did, cannot be spoken for without it.
func TestNamesWithAKeyAreUntouchable(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 4)
	r.c.set.Approve = true
	before := r.shown("pi")
	for _, state := range []string{"connected", "silent", "removed", "removed, after a restart"} {
		r.now = r.now.Add(time.Minute)
		for _, got := range []firstResult{r.register("pi"), r.beat("pi", 50)} {
			if got.Success || !strings.Contains(got.Message, "has a key here") {
				t.Errorf("%s: %+v", state, got)
			}
		}
		switch state {
		case "connected":
			if after := r.shown("pi"); after.Metrics.CPU != nil || after.Profile.Info.Role != before.Profile.Info.Role || !after.LastSeen.Equal(before.LastSeen) || after.Address != before.Address {
				t.Errorf("it was touched: %+v", after)
			}
			pi.lose()
			r.pass(r.c.set.OfflineAfter)
		case "silent":
			if r.shown("pi").Status != device.Offline {
				t.Error("it was brought back")
			}
			r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "pi"})
		case "removed":
			r.start()
		}
	}
	lines, err := r.db.Audit(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	for _, l := range lines {
		if strings.Contains(string(l.Line), `"who":"plain","from":"192.0.2.9"`) && strings.Contains(string(l.Line), `"on":"pi","result":"E_FORBIDDEN"`) {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d refusals are in the audit log", refused)
	}
}

// Who has a key and a code takes the place of one that has none.
func TestJoiningReplacesTheUntrusted(t *testing.T) {
	r := newRig(t)
	r.register("pi")
	if e, ok := r.join(90, &wire.Join{Protocol: wire.Spoken, Invite: "k3f9q2mxyz", Secret: "no", Name: "pi"}).(*wire.Error); !ok || !r.shown("pi").Untrusted {
		t.Fatalf("without a code: %v", e)
	}
	pi := r.device("pi", 2)
	r.submit(r.client(wire.RoleAdmin), 1)
	if d := r.shown("pi"); pi.name != "pi" || d.Untrusted || d.Profile.Slots != 2 || len(pi.assigned()) != 1 || len(r.c.devices) != 1 || len(r.c.byKey) != 1 {
		t.Errorf("%s: %+v", pi.name, d)
	}
	if got := r.beat("pi", 1); got.Success {
		t.Error("its former self is heard still")
	}
	r.start()
	if d := r.shown("pi"); d.Untrusted || d.Fingerprint != "key of pi" {
		t.Errorf("after a restart: %+v", d)
	}
}

func TestUntrustedAreFew(t *testing.T) {
	r := newRig(t)
	for i := range mostUntrusted {
		if got := r.register(fmt.Sprintf("phone%d", i)); !got.Success {
			t.Fatal(got.Message)
		}
	}
	if got := r.register("another"); got.Success || !strings.Contains(got.Message, "no more are taken") || r.c.devices["another"] != nil {
		t.Errorf("one more: %+v", got)
	}
	r.now = r.now.Add(time.Minute)
	if got := r.register("phone7"); !got.Success {
		t.Errorf("one that is known: %+v", got)
	}
	r.device("pi", 1)
	// Removing makes room, and bars nobody.
	admin := r.client(wire.RoleAdmin)
	r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "phone7"})
	if len(r.c.revoked) != 0 {
		t.Errorf("barred: %v", r.c.revoked)
	}
	if got := r.register("phone7"); !got.Success {
		t.Errorf("it came again: %+v", got)
	}
}

func TestFirstQueriesWithManyDevices(t *testing.T) {
	r := newRig(t)
	r.round(Ask(func(c *Core) {
		for i := range 500 {
			row := store.Device{ID: fmt.Sprintf("node%d", i), Fingerprint: fmt.Sprint("key", i), Joined: c.now}
			row.Profile.Info.Role = strings.Repeat("r", i)
			c.devices[row.ID] = newMachine(row, c.now)
		}
	}))
	for _, kind := range []string{"list_devices", "status"} {
		m, err := wire.ParseFirst(fmt.Appendf(nil, `{"message_type":%q}`, kind))
		if err != nil {
			t.Fatal(err)
		}
		r.round(Ask(func(c *Core) {
			b := wire.FirstAck(&m, c.now, c.first("192.0.2.9", &m))
			if err := wire.CheckJSON(b); err != nil || len(b) > wire.MaxFirstReply {
				t.Errorf("%s: %d bytes, %v", kind, len(b), err)
			}
			if !strings.Contains(string(b), `"count":500`) && !strings.Contains(string(b), `"total_devices":500`) {
				t.Errorf("%s: %s", kind, b)
			}
		}))
	}
	if got := r.first(`{"message_type":"list_devices"}`); len(got.Devices) < 20 {
		t.Errorf("%d devices are listed", len(got.Devices))
	}
}

// While the disk is full nothing is taken from those either, and questions are answered.
func TestUntrustedWhileTheDiskIsFull(t *testing.T) {
	r := newRig(t)
	r.register("phone")
	r.device("pi", 1)
	r.c.storage = storageLow
	if got := r.register("other"); got.Success || !strings.Contains(got.Message, "disk is full") {
		t.Errorf("%+v", got)
	}
	if got := r.beat("phone", 1); !got.Success {
		t.Errorf("%+v", got)
	}
	r.c.storage = storageFull
	for _, got := range []firstResult{r.register("phone"), r.register("other"), r.beat("phone", 2)} {
		if got.Success || !strings.Contains(got.Message, "disk is full") || !r.c.batch.Empty() {
			t.Errorf("%+v", got)
		}
	}
	if got := r.register("pi"); got.Success || !r.c.batch.Empty() {
		t.Errorf("%+v", got)
	}
	if got := r.first(`{"message_type":"list_devices"}`); got.Count != 2 {
		t.Errorf("%+v", got)
	}
}

// talk is one connection of such a client: what it gets until the main node closes.
func talk(t *testing.T, address, say string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func TestPlainConnections(t *testing.T) {
	for _, from := range []string{"127.0.0.0/8", "192.0.2.0/24"} {
		set := Defaults()
		set.PlainFrom = []netip.Prefix{netip.MustParsePrefix(from)}
		n, err := Open(t.Context(), t.TempDir(), "rc-mained test", set, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- n.Serve(ctx, l) }()
		status := `{"message_type":"status","message_id":"m1"}`
		want := map[string]string{status: `"original_message_id":"m1","result":{"cluster_stats"`, status + "\n and more": `"result"`, `{"message_type":"task_submit"}`: "Unknown message type: task_submit",
			`{"message_type":nonsense}`: "not a JSON message", `{"message_type":"register"}`: "device_id: ", "{" + strings.Repeat(" ", wire.MaxFirst): "more than 65536 bytes", "GET / HTTP/1.1\r\n\r\n": ""}
		if from != "127.0.0.0/8" {
			for say := range want {
				if say[0] == '{' {
					want[say] = "plain JSON clients are disabled here"
				}
			}
		}
		for say, part := range want {
			got, err := talk(t, l.Addr().String(), say)
			if err != nil && part != "" {
				t.Errorf("from %s, %.40q: %v after %q", from, say, err, got)
			}
			if !strings.Contains(got, part) || (part == "") != (got == "") || got != "" && wire.CheckJSON([]byte(got)) != nil {
				t.Errorf("from %s, %.40q: %s", from, say, got)
			}
		}
		audited := map[bool]string{true: `"who":"plain","from":"127.0.0.1","what":"register","result":"E_FIELD"`, false: `"what":"connect","result":"E_FORBIDDEN"`}[from == "127.0.0.0/8"]
		if lines, err := n.db.Audit(t.Context(), 0, 100); err != nil || !slices.ContainsFunc(lines, func(l store.Audited) bool { return strings.Contains(string(l.Line), audited) }) {
			t.Errorf("%s is not in the audit log, %v", audited, err)
		}
		var left int
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			n.strangers.mu.Lock()
			left = n.strangers.all.Len()
			n.strangers.mu.Unlock()
			if left == 0 {
				break
			}
		}
		if left != 0 {
			t.Errorf("%d strangers are counted still", left)
		}
		// One that says nothing whole does not keep the main node from ending.
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, `{"message_type":`)
		began := time.Now()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > strangerTime/2 {
			t.Errorf("it took %s to end", took)
		}
		c.Close()
		n.Close()
	}
}
