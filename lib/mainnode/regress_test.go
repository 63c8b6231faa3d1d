package mainnode

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What a peer can say and must not.
func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ kind, data, names string }{
		{wire.TypeSubmit, `{"tasks":[]}`, "0 tasks"},
		{wire.TypeSubmit, `{"key":"k","key_index":9223372036854775807,"tasks":[{"task_type":"echo"}]}`, "index"},
		{wire.TypeSubmit, `{"key":"k","key_index":-1,"tasks":[{"task_type":"echo"}]}`, "index"},
		{wire.TypeSubmit, `{"tasks":[{"task_type":"command","payload":{}}]}`, "argv"},
		{wire.TypeTaskResult, `{"task_id":"t0000001","status":"completed"}`, "task"},
		{wire.TypeTaskResult, `{"execution_time":1e300}`, "execution_time"},
		{wire.TypeTaskResult, `{"execution_time":-1}`, "execution_time"},
		{wire.TypeTaskResult, `{"output_bytes":-1}`, "output_bytes"},
		{wire.TypeTaskResult, `{"reason":"` + strings.Repeat("x", 5000) + `"}`, "reason"},
		{wire.TypeTaskRelease, `{"reason":"` + strings.Repeat("x", 5000) + `"}`, "reason"},
		{wire.TypeHeartbeat, `{"reason":"` + strings.Repeat("x", 5000) + `"}`, "reason"},
		{wire.TypeRegister, `{"tags":["` + strings.Repeat("x", 20_000) + `"]}`, "profile"},
		{wire.TypeRegister, `{"slots":100000}`, "slots"},
		{wire.TypeRegister, `{"slots":-1}`, "slots"},
		{wire.TypeRegister, `{"hardware_specs":{"cpu_cores":-4}}`, "cores"},
	} {
		_, err := Decode(&wire.Message{Type: c.kind, Data: json.RawMessage(c.data)})
		if err == nil || !strings.Contains(err.Error(), c.names) || wire.NewError(err).Code == "E_INTERNAL" {
			t.Errorf("%s %.60s: %v", c.kind, c.data, err)
		}
	}
}

func TestRemovedDeviceCannotComeBackWithItsOldCode(t *testing.T) {
	r := newRig(t)
	r.c.fingerprint = strings.Repeat("a", 52)
	admin := r.client(wire.RoleAdmin)
	code, _ := wire.ParseJoinCode(r.ask(admin, &wire.Invite{Addresses: []string{"nas:8080"}}).(wire.Invited).Code)
	join := &wire.Join{Protocol: wire.Spoken, Invite: code.ID, Secret: code.Secret, Name: "pi"}
	r.last++
	if _, ok := r.join(r.last, join).(wire.Joined); !ok {
		t.Fatal("not joined")
	}
	r.ask(admin, &deviceAction{verb: wire.TypeRemove, name: "pi"})
	for range 2 {
		r.last++
		if e, ok := r.join(r.last, join).(*wire.Error); !ok || e.Code != "E_REVOKED" {
			t.Errorf("answer %v", e)
		}
		r.start() // and not after a restart either
	}
}

// A device that gives back everything it is given costs nobody the task.
func TestGivingBackIsNoFailure(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	given := 0
	for range 1000 {
		for _, a := range pi.assigned() {
			given++
			r.tell(pi.session, &wire.Release{Lease: a.Task.Lease, Reason: "full"})
		}
		r.pass(time.Second)
		beat := &wire.Heartbeat{}
		beat.Status = device.Online
		r.ask(pi.session, beat)
	}
	got := r.c.task(id)
	if got == nil || got.row.Losses != 0 || got.row.Failures != 0 {
		t.Fatalf("%+v", got)
	}
	if given > 600 {
		t.Errorf("it was given the task %d times in 1000 s", given)
	}
}

func TestTaskThatAvoidsADeviceDoesNotIdleIt(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	r.submit(admin, 1, func(s *task.Spec) { s.Retries, s.Priority = 1, task.Urgent })
	l := pi.one()
	r.submit(admin, 5)
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "pi"})
	pi.result(l, task.AttemptFailed, "")
	r.pass(3 * time.Second) // the failed one is at the head of the queue, and is to avoid pi
	tab := &peer{r: r, name: "tab", boot: 1}
	r.c.begin(r.now)
	d := newMachine(store.Device{ID: "tab", Fingerprint: "key of tab", Joined: r.now, Profile: device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho}}}, r.now)
	r.c.devices["tab"], r.c.byKey["key of tab"] = d, d
	r.commit()
	r.last++
	hello := &Input{Session: r.last, Fingerprint: "key of tab", Message: wire.Message{ID: "q"}, Body: &wire.Hello{Protocol: wire.Spoken, BootCount: 1, Session: 1}}
	undrain := &Input{Session: admin, Message: wire.Message{ID: "q"}, Body: &deviceAction{verb: wire.TypeUndrain, name: "pi"}}
	r.round(hello, undrain) // both become free in one round
	tab.session = r.last
	if a, b := len(pi.assigned()), len(tab.assigned()); a != 1 || b != 1 {
		t.Errorf("pi was given %d and tab %d tasks, and %d wait", a, b, r.c.queue.Len())
	}
}

func TestCancelledAttemptDoesNotEndTheRetriedTask(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	r.ask(admin, &deviceAction{verb: wire.TypeDrain, name: "pi"}) // so that the task waits
	r.round(Ask(func(c *Core) { c.Cancel(id); c.Retry(id) }))
	if v := pi.result(l, task.AttemptCompleted, ""); v != wire.Stale {
		t.Errorf("verdict %s", v)
	}
	r.want(id, task.Queued, 1)
}

func TestRetryAfterLossCountsFromNothing(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	id := r.submit(admin, 1)[0]
	l := pi.one()
	r.tell(pi.session, &wire.Accept{Lease: l})
	pi.lose()
	r.pass(451 * time.Second)
	r.round(Ask(func(c *Core) { c.Cancel(id); c.Retry(id) }))
	pi.hello(wire.Held{Lease: l, State: wire.HeldRunning})
	if got := r.c.task(id); got.row.Losses != 0 {
		t.Errorf("%d losses", got.row.Losses)
	}
}

func TestHeartbeatAfterReconnect(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 2)
	ids := r.submit(admin, 2)
	given := pi.assigned()
	held := wire.Held{Lease: given[1].Task.Lease, State: wire.HeldWaiting}
	pi.hello(wire.Held{Lease: given[0].Task.Lease, State: wire.HeldRunning}, held)
	beat := &wire.Heartbeat{Held: []wire.Held{{Lease: given[0].Task.Lease, State: wire.HeldRunning}}}
	beat.Status = device.Online
	r.ask(pi.session, beat) // it has lost the second somehow
	r.want(ids[0], task.Running, 1)
	r.want(ids[1], task.Assigned, 2)
}

func TestOddMetricsSpoilNothing(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	huge, negative := 1e308, -5.0
	beat := &wire.Heartbeat{}
	beat.Metrics.CPU, beat.Metrics.Memory = &huge, &negative
	r.ask(pi.session, beat)
	if s := r.c.status(); s.CPU != 100 || s.MemoryUsed != 0 || math.IsInf(s.CPU, 0) {
		t.Errorf("%+v", s)
	}
}

func TestExpiredTokenEndsItsSessions(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	made := r.ask(admin, &wire.MakeToken{Role: wire.RoleAdmin, Expires: 60}).(wire.TokenMade)
	r.last++
	mine := r.last
	r.ask(mine, &wire.Hello{Protocol: wire.Spoken, Token: made.Token})
	r.pass(61 * time.Second)
	if !r.shut[mine] || r.c.sessions[mine] != nil {
		t.Error("its session lives on")
	}
}

func TestNewTypeIsNoticedByWhatWaits(t *testing.T) {
	r := newRig(t)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", 1)
	r.submit(admin, 1, func(s *task.Spec) { s.Type = "greet" })
	if got := pi.assigned(); len(got) != 0 {
		t.Fatal("it has no such type")
	}
	r.ask(pi.session, &device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho, "greet"}})
	pi.one()
}

func TestDatabaseIsPrivate(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{r.path, r.path + "-wal", r.path + "-shm"} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

// Fewer than a mebibyte, whatever tasks are called.
func TestPagesFitIntoAMessage(t *testing.T) {
	var tags []string
	for range task.MaxTags {
		tags = append(tags, strings.Repeat("x", 64))
	}
	var found []task.Task
	for range tasksPage {
		found = append(found, task.Task{ID: 1, Reason: strings.Repeat("\x01", maxReason), Spec: task.Spec{Type: "echo", Name: strings.Repeat("é", 100),
			Payload: json.RawMessage(`{"message":"` + strings.Repeat("y", 1000) + `"}`), Requirements: task.Requirements{Tags: tags}}})
	}
	page := cutPage(found)
	b, err := json.Marshal(wire.Message{Type: wire.TypeAck, Data: mustJSON(t, wire.TaskList{Tasks: page})})
	if err != nil || len(page) == 0 || len(b) > wire.MaxMessage {
		t.Errorf("%d tasks are %d bytes, %v", len(page), len(b), err)
	}
}

func mustJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
