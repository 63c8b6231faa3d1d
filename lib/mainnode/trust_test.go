package mainnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// granted is a client with a token for submitting that has a grant.
func (r *rig) granted(g cluster.Grant) int64 {
	r.t.Helper()
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeToken{Role: wire.RoleSubmit, Grant: g}).(wire.TokenMade)
	return r.with(made.Token)
}

// with is a client with a token, which must be welcome.
func (r *rig) with(token string) int64 {
	r.t.Helper()
	r.last++
	if w, ok := r.ask(r.last, &wire.Hello{Protocol: wire.Spoken, Token: token}).(wire.Welcome); !ok {
		r.t.Fatalf("not welcome: %+v", w)
	}
	return r.last
}

// refused is the code with which something is refused; empty: it is not.
func (r *rig) refused(session int64, body any) string {
	r.t.Helper()
	if e, ok := r.ask(session, body).(*wire.Error); ok {
		return e.Code
	}
	return ""
}

func submission(taskType, payload string) *wire.Submit {
	return &wire.Submit{Tasks: []task.Spec{{Type: taskType, Payload: json.RawMessage(payload)}}}
}

func TestGrants(t *testing.T) {
	r := newRig(t)
	echo, command, custom := submission(task.TypeEcho, `{"message":"x"}`), submission(task.TypeCommand, `{"argv":["true"]}`), submission("transcode", `{}`)
	for _, c := range []struct {
		grant                 cluster.Grant
		echo, command, custom string
	}{
		{cluster.Grant{}, "", "E_TYPE_FORBIDDEN", "E_TYPE_FORBIDDEN"},
		{cluster.Grant{Exec: true}, "", "", ""},
		{cluster.Grant{Types: []string{"transcode"}}, "E_TYPE_FORBIDDEN", "E_TYPE_FORBIDDEN", ""},
	} {
		s := r.granted(c.grant)
		if got := [3]string{r.refused(s, echo), r.refused(s, command), r.refused(s, custom)}; got != [3]string{c.echo, c.command, c.custom} {
			t.Errorf("%+v: %q", c.grant, got)
		}
	}
	admin := r.client(wire.RoleAdmin)
	for _, m := range []*wire.MakeToken{
		{Role: wire.RoleSubmit, Grant: cluster.Grant{Exec: true, Types: []string{"echo"}}},
		{Role: wire.RoleSubmit, Grant: cluster.Grant{Types: []string{"no type"}}},
		{Role: wire.RoleSubmit, Grant: cluster.Grant{Tags: []string{"no\ntag"}}},
		{Role: wire.RoleSubmit, Grant: cluster.Grant{Rate: -1}},
		{Role: wire.RoleAdmin, Grant: cluster.Grant{Rate: 1}},
		{Role: wire.RoleLogin}, {Role: wire.RoleBrowser}, {Role: wire.RoleWorker}, {Role: "king"},
	} {
		if got := r.refused(admin, m); got != "E_FIELD" {
			t.Errorf("%+v: %q", m, got)
		}
	}
}

func TestGrantConfinesToTags(t *testing.T) {
	r := newRig(t)
	s := r.granted(cluster.Grant{Tags: []string{"kitchen"}})
	m := submission(task.TypeEcho, `{"message":"x"}`)
	m.Key = "again"
	id := r.ask(s, m).(wire.Submitted).Tasks[0]
	if got := r.want(id, task.Queued, 0); !slices.Equal(got.Requirements.Tags, []string{"kitchen"}) {
		t.Errorf("%+v", got.Requirements)
	}
	same := submission(task.TypeEcho, `{"message":"x"}`)
	same.Key = "again"
	if got := r.ask(s, same).(wire.Submitted); got.Tasks[0] != id {
		t.Error("the same submission is another one for its key")
	}
}

func TestGrantOfARate(t *testing.T) {
	r := newRig(t)
	s := r.granted(cluster.Grant{Rate: 6})
	m := submission(task.TypeEcho, `{"message":"x"}`)
	m.Tasks = slices.Repeat(m.Tasks, 9) // more at once than in a minute: taken, and paid for
	if got := r.refused(s, m); got != "" {
		t.Fatal(got)
	}
	e, ok := r.ask(s, submission(task.TypeEcho, `{"message":"x"}`)).(*wire.Error)
	if !ok || e.Code != "E_RATE" || e.Wait() != 40*time.Second {
		t.Fatalf("%+v", e)
	}
	r.now = r.now.Add(39 * time.Second)
	if got := r.refused(s, submission(task.TypeEcho, `{"message":"x"}`)); got != "E_RATE" {
		t.Errorf("a second too early: %q", got)
	}
	r.now = r.now.Add(time.Second)
	if got := r.refused(s, submission(task.TypeEcho, `{"message":"x"}`)); got != "" {
		t.Errorf("after the wait: %q", got)
	}
	r.now = r.now.Add(-time.Hour) // a clock that is set back gives nothing and takes nothing
	if got := r.refused(s, submission(task.TypeEcho, `{"message":"x"}`)); got != "E_RATE" {
		t.Errorf("%q", got)
	}
}

// To give tasks again takes from the same rate.
func TestGrantOfARateHoldsForRetries(t *testing.T) {
	r := newRig(t)
	s := r.granted(cluster.Grant{Rate: 2})
	m := submission(task.TypeEcho, `{"message":"x"}`)
	id := r.ask(s, m).(wire.Submitted).Tasks[0]
	var refused error
	count := 0
	for range 3 {
		r.round(Ask(func(c *Core) {
			c.Cancel(id)
			count, refused = c.retryFor(s, id, true, count)
		}))
	}
	if count != 1 || !strings.Contains(fmt.Sprint(refused), "2 tasks in a minute") {
		t.Errorf("%d times, then %v", count, refused)
	}
}

// Whose a job is decides who adds to it; that is kept over a restart.
func TestJobsHaveOwners(t *testing.T) {
	r := newRig(t)
	mine, other, admin := r.granted(cluster.Whole), r.granted(cluster.Whole), r.client(wire.RoleAdmin)
	job := r.ask(mine, submission(task.TypeEcho, `{"message":"x"}`)).(wire.Submitted).Job
	more := func() *wire.Submit {
		m := submission(task.TypeEcho, `{"message":"y"}`)
		m.Job = job
		return m
	}
	if got := r.refused(other, more()); got != "E_NOT_FOUND" {
		t.Errorf("another's job: %q", got)
	}
	if got := r.refused(mine, more()) + r.refused(admin, more()); got != "" {
		t.Errorf("one's own job, and an administrator: %q", got)
	}
	owner, known, err := r.db.JobOwner(context.Background(), job)
	if err != nil || !known || owner != r.c.sessions[mine].principal {
		t.Errorf("%q %v %v", owner, known, err)
	}
	r.start()
	if again := r.granted(cluster.Whole); r.refused(again, more()) != "E_NOT_FOUND" {
		t.Error("after a restart the job is everybody's")
	}
}

func TestApproval(t *testing.T) {
	r := newRig(t)
	r.c.set.Approve = true
	r.c.fingerprint = strings.Repeat("a", 52)
	admin := r.client(wire.RoleAdmin)
	code, _ := wire.ParseJoinCode(r.ask(admin, &wire.Invite{Addresses: []string{"nas:8080"}, Uses: 2}).(wire.Invited).Code)
	join := func(name string) any {
		r.last++
		return r.join(r.last, &wire.Join{Protocol: wire.Spoken, Invite: code.ID, Secret: code.Secret, Name: name})
	}
	for range 2 { // a lost answer burns nothing
		if got := join("pi"); got != (wire.Joined{DeviceID: "pi", Pending: true}) {
			t.Fatalf("%+v", got)
		}
	}
	pi := &peer{r: r, name: "pi", boot: 1}
	if e := pi.hello().(*wire.Error); e.Code != "E_PENDING" || e.Wait() <= 0 {
		t.Errorf("%+v", e)
	}
	r.start()
	r.c.set.Approve = false // what waits goes on waiting
	if e := pi.hello().(*wire.Error); e.Code != "E_PENDING" {
		t.Errorf("%+v", e)
	}
	if d := r.c.shownDevice(r.c.devices["pi"]); d.Status != device.Pending || r.c.status().DevicesOnline != 0 {
		t.Errorf("%+v", d)
	}
	admin = r.client(wire.RoleAdmin)
	if got := r.refused(admin, &deviceAction{verb: wire.TypeApprove, name: "pi"}); got != "" {
		t.Fatal(got)
	}
	if _, ok := pi.hello().(wire.Welcome); !ok {
		t.Error("approved, and not welcome")
	}
	if got := r.refused(admin, &deviceAction{verb: wire.TypeApprove, name: "pi"}); got != "E_CONFLICT" {
		t.Errorf("%q", got)
	}
	join("tablet")
	if e, ok := join("third").(*wire.Error); !ok || e.Code != "E_JOIN_TOKEN" {
		t.Errorf("a code for two let a third in: %+v", e)
	}
}

// What is wrong with a code is not told, and after some of them nothing is.
func TestWrongCodesHaveOneAnswer(t *testing.T) {
	r := newRig(t)
	r.c.fingerprint = strings.Repeat("a", 52)
	admin := r.client(wire.RoleAdmin)
	invite := func() wire.JoinCode {
		code, _ := wire.ParseJoinCode(r.ask(admin, &wire.Invite{Addresses: []string{"nas:8080"}, Expires: 60}).(wire.Invited).Code)
		return code
	}
	try := func(name, from string, id, secret string) *wire.Error {
		r.last++
		r.round(&Input{Session: r.last, Fingerprint: "key of " + name, Address: from, Message: wire.Message{Type: "join", ID: "q"},
			Body: &wire.Join{Protocol: wire.Spoken, Invite: id, Secret: secret, Name: name}})
		e, _ := r.said[r.last][0].Body.(*wire.Error)
		return e
	}
	used, old, good := invite(), invite(), invite()
	if e := try("first", "192.0.2.1", used.ID, used.Secret); e != nil {
		t.Fatal(e)
	}
	answers := map[string]bool{}
	answers[fmt.Sprint(try("a", "192.0.2.1", used.ID, used.Secret))] = true
	answers[fmt.Sprint(try("b", "192.0.2.1", good.ID, used.Secret))] = true
	answers[fmt.Sprint(try("c", "192.0.2.1", "aaaaaaaaaa", used.Secret))] = true
	r.now = r.now.Add(61 * time.Second)
	answers[fmt.Sprint(try("d", "192.0.2.1", old.ID, old.Secret))] = true
	if len(answers) != 1 {
		t.Errorf("%v", answers)
	}
	for range mostGuesses {
		try("e", "192.0.2.1", "aaaaaaaaaa", used.Secret)
	}
	if e := try("e", "192.0.2.1", "aaaaaaaaaa", used.Secret); e.Code != "E_RATE" || e.Wait() <= 0 || e.Wait() > guessEvery {
		t.Errorf("the tenth guess: %+v", e)
	}
	fresh := invite()
	if e := try("f", "192.0.2.1", fresh.ID, fresh.Secret); e != nil {
		t.Errorf("a right code from where others guess: %v", e)
	}
	if e := try("g", "192.0.2.2", "aaaaaaaaaa", used.Secret); e.Code != "E_JOIN_TOKEN" {
		t.Errorf("another address: %+v", e)
	}
}

// A code is not good for longer than it was made for, also where the clock was set back while the main node was away.
func TestCodesEndWhereTheClockIsWrong(t *testing.T) {
	r := newRig(t)
	r.c.fingerprint = strings.Repeat("a", 52)
	code, _ := wire.ParseJoinCode(r.ask(r.client(wire.RoleAdmin), &wire.Invite{Addresses: []string{"nas:8080"}}).(wire.Invited).Code)
	join := &wire.Join{Protocol: wire.Spoken, Invite: code.ID, Secret: code.Secret, Name: "pi"}
	r.now = r.now.Add(-time.Hour)
	r.start()
	r.last++
	if e, ok := r.join(r.last, join).(*wire.Error); !ok || e.Code != "E_JOIN_TOKEN" {
		t.Errorf("%+v", e)
	}
}

// A device that speaks for what another one holds knows what it was never told.
func TestADeviceSpeaksForItselfAlone(t *testing.T) {
	r := newRig(t)
	pi, thief := r.device("pi", 1), r.device("thief", 1)
	admin := r.client(wire.RoleAdmin)
	r.submit(admin, 1, func(s *task.Spec) { s.Requirements.Device = "pi" })
	lease := pi.one()
	for name, body := range map[string]any{
		"result": &wire.Result{Lease: lease, Status: task.AttemptCompleted}, "accept": &wire.Accept{Lease: lease}, "release": &wire.Release{Lease: lease},
		"output": &wire.Output{Lease: lease}, "progress": &wire.Progress{Lease: lease, Text: "x"},
	} {
		r.shut = map[int64]bool{}
		if e, ok := r.ask(thief.session, body).(*wire.Error); !ok || e.Code != "E_FORBIDDEN" || !r.shut[thief.session] {
			t.Errorf("%s: %+v, shut %v", name, e, r.shut[thief.session])
		}
		if _, ok := thief.hello().(wire.Welcome); !ok {
			t.Fatal("not let in again")
		}
	}
	wrong := lease
	wrong.Token = "guessed"
	if got := thief.result(wrong, task.AttemptCompleted, ""); got != wire.Stale {
		t.Errorf("a guessed lease: %s", got)
	}
	if got := pi.result(lease, task.AttemptCompleted, ""); got != wire.Recorded {
		t.Errorf("the right one: %s", got)
	}
	events, err := r.db.Events(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(events, func(e cluster.Event) bool { return e.Kind != cluster.Suspicious || e.Device != "thief" })); n != 5 {
		t.Errorf("%d of 5 were noted", n)
	}
}

func TestWorkersAskForNothingElse(t *testing.T) {
	r := newRig(t)
	pi := r.device("pi", 1)
	for _, body := range []any{submission(task.TypeEcho, `{"message":"x"}`), &wire.Invite{}, &wire.MakeToken{Role: wire.RoleAdmin}, &tokenList{}, &wire.RevokeToken{},
		&wire.MakeLogin{}, &login{}, &logout{}, &deviceAction{verb: wire.TypeRemove, name: "pi"}, &deviceAction{verb: wire.TypeApprove, name: "pi"}} {
		if got := r.refused(pi.session, body); got != "E_FORBIDDEN" {
			t.Errorf("%T: %q", body, got)
		}
	}
}

func TestLogin(t *testing.T) {
	r := newRig(t)
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeToken{Role: wire.RoleSubmit, Grant: cluster.Grant{Types: []string{"echo"}}}).(wire.TokenMade)
	owner := r.with(made.Token)
	if got := r.refused(owner, &wire.MakeLogin{Role: wire.RoleAdmin}); got != "E_FORBIDDEN" {
		t.Errorf("a login for more than one's own role: %q", got)
	}
	code := r.ask(owner, &wire.MakeLogin{}).(wire.LoginMade).Code
	logging := r.with(code)
	for _, body := range []any{submission(task.TypeEcho, `{"message":"x"}`), &tokenList{}, &wire.MakeLogin{}, &logout{}} {
		if got := r.refused(logging, body); got != "E_FORBIDDEN" {
			t.Errorf("a code may %T: %q", body, got)
		}
	}
	in := r.ask(logging, &login{}).(wire.LoggedIn)
	r.last++
	if got := r.refused(r.last, &wire.Hello{Protocol: wire.Spoken, Token: code}); got != "E_AUTH" {
		t.Errorf("a code is good twice: %q", got)
	}
	if !r.shut[logging] {
		t.Error("the connection with the code stays open")
	}
	browser := r.with(in.Token)
	if got := r.refused(browser, submission(task.TypeCommand, `{"argv":["true"]}`)); got != "E_TYPE_FORBIDDEN" {
		t.Errorf("a session may more than its token: %q", got)
	}
	job := r.ask(browser, submission(task.TypeEcho, `{"message":"x"}`)).(wire.Submitted).Job
	if who, _, _ := r.db.JobOwner(context.Background(), job); who != made.ID {
		t.Errorf("what a session submits is %q's", who)
	}
	r.start() // it outlives a restart
	r.with(in.Token)
	r.now = r.now.Add(sessionIdle / 2)
	r.with(in.Token)
	r.now = r.now.Add(sessionIdle/2 + time.Minute)
	browser = r.with(in.Token) // it was used meanwhile
	if got := r.refused(browser, &logout{}); got != "" {
		t.Errorf("logout: %q", got)
	}
	r.last++
	if got := r.refused(r.last, &wire.Hello{Protocol: wire.Spoken, Token: in.Token}); got != "E_AUTH" {
		t.Errorf("after logout: %q", got)
	}
}

// Whatever role a session of a token for submitting has, it sees no more than that token.
func TestSessionsSeeWhatTheirTokenSees(t *testing.T) {
	r := newRig(t)
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeToken{Role: wire.RoleSubmit}).(wire.TokenMade)
	for _, role := range []wire.Role{wire.RoleRead, wire.RoleSubmit, ""} {
		code := r.ask(r.with(made.Token), &wire.MakeLogin{Role: role}).(wire.LoginMade).Code
		in := r.ask(r.with(code), &login{}).(wire.LoggedIn)
		if s := r.c.sessions[r.with(in.Token)]; s.owner != made.ID {
			t.Errorf("a session of the role %q sees what is %q's", in.Role, s.owner)
		}
		r.start()
		if s := r.c.sessions[r.with(in.Token)]; s.owner != made.ID {
			t.Errorf("after a restart a session of the role %q sees what is %q's", in.Role, s.owner)
		}
	}
}

// A session makes no other one, a code enrols no device, and neither outlives the token that it speaks for.
func TestSessionsAreNoTokens(t *testing.T) {
	r := newRig(t)
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeToken{Role: wire.RoleAdmin, Expires: 60}).(wire.TokenMade)
	enter := func(name string) string {
		code := r.ask(r.with(made.Token), &wire.MakeLogin{Name: name}).(wire.LoginMade).Code
		r.last++
		if e, ok := r.join(r.last, &wire.Join{Protocol: wire.Spoken, Token: code, Name: "evil"}).(*wire.Error); !ok || e.Code != "E_FORBIDDEN" {
			t.Errorf("a code enrols a device: %+v", e)
		}
		return r.ask(r.with(code), &login{}).(wire.LoggedIn).Token
	}
	first := enter("me")
	if got := r.refused(r.with(first), &wire.MakeLogin{}); got != "E_FORBIDDEN" {
		t.Errorf("a session makes another: %q", got)
	}
	for range 2 * mostSessions { // of others, and of the same token for another purpose
		enter("somebody else")
	}
	r.with(first)
	for range mostLogins {
		r.ask(r.with(made.Token), &wire.MakeLogin{})
	}
	if got := r.refused(r.with(made.Token), &wire.MakeLogin{}); got != "E_RATE" {
		t.Errorf("codes without end: %q", got)
	}
	r.now = r.now.Add(61 * time.Second)
	r.last++
	if got := r.refused(r.last, &wire.Hello{Protocol: wire.Spoken, Token: first}); got != "E_AUTH" {
		t.Errorf("a session outlives its token: %q", got)
	}
}

func TestSessionsEnd(t *testing.T) {
	r := newRig(t)
	made := r.ask(r.client(wire.RoleAdmin), &wire.MakeToken{Role: wire.RoleRead}).(wire.TokenMade)
	enter := func() string {
		code := r.ask(r.with(made.Token), &wire.MakeLogin{}).(wire.LoginMade).Code
		return r.ask(r.with(code), &login{}).(wire.LoggedIn).Token
	}
	out := func(token string) bool {
		r.last++
		return r.refused(r.last, &wire.Hello{Protocol: wire.Spoken, Token: token}) == "E_AUTH"
	}
	idle := enter()
	r.pass(sessionIdle + 2*time.Second)
	if !out(idle) {
		t.Error("a session that is not used does not end")
	}
	old := enter()
	for range 7 * 24 {
		r.now = r.now.Add(time.Hour)
		if r.now.After(r.c.tokens[mustID(t, old)].Expires) {
			break
		}
		r.with(old)
	}
	r.now = r.now.Add(time.Hour)
	if !out(old) {
		t.Error("a session that is used does not end")
	}
	first := enter()
	for range mostSessions {
		r.now = r.now.Add(time.Second)
		enter()
	}
	if !out(first) {
		t.Error("there are too many sessions")
	}
	last := enter()
	open := r.with(last)
	r.ask(r.client(wire.RoleAdmin), &wire.RevokeToken{ID: made.ID})
	if !out(last) || !r.shut[open] {
		t.Error("a session outlives the token that it speaks for")
	}
	late := r.ask(r.client(wire.RoleAdmin), &wire.MakeLogin{}).(wire.LoginMade).Code
	r.now = r.now.Add(loginTime + time.Second)
	if !out(late) {
		t.Error("a code is good for longer than five minutes")
	}
}

func mustID(t *testing.T, token string) string {
	t.Helper()
	parsed, err := wire.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.ID
}

// lines reads the whole audit log, and follows its chain.
func (r *rig) lines() (all []entry) {
	r.t.Helper()
	_, err := store.VerifyAudit(context.Background(), r.path, nil, func(a store.Audited) error {
		var e entry
		err := json.Unmarshal(a.Line, &e)
		all = append(all, e)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func TestAuditSumsUpWhatIsRefused(t *testing.T) {
	r := newRig(t)
	read := r.client(wire.RoleRead)
	for range 1000 {
		r.refused(read, &wire.Invite{})
	}
	before := len(r.lines())
	r.pass(failureTime + 2*time.Second)
	all := r.lines()
	if len(all) != before+1 || all[before-1].Result != "E_FORBIDDEN" || all[before].Count != 999 || all[before].Result != "E_FORBIDDEN" {
		t.Errorf("%+v", all[before-1:])
	}
	for i := range 2 * mostFailures { // strangers with as many addresses as they like
		r.last++
		r.round(&Input{Session: r.last, Address: fmt.Sprintf("10.0.%d.%d", i>>8, i&255), Message: wire.Message{Type: "hello", ID: "q"}, Body: &wire.Hello{Protocol: wire.Spoken, Token: "nonsense"}})
	}
	if n := len(r.lines()) - len(all); n > mostFailures+1 {
		t.Errorf("%d lines", n)
	}
}

// Of what somebody names only so much is kept, a network of version 6 is one address, and where nothing can be written it is counted.
func TestAuditOfStrangersIsBounded(t *testing.T) {
	r := newRig(t)
	begun := len(r.lines())
	guess := func(address string) {
		r.last++
		r.round(&Input{Session: r.last, Address: address, Message: wire.Message{Type: "join", ID: "q"}, Body: &wire.Join{Name: strings.Repeat("é", 500), Token: "nonsense"}})
	}
	for i := range 100 {
		guess(fmt.Sprintf("2001:db8::%x", i+1))
	}
	all := r.lines()
	if len(all) != begun+1 || len(all[begun].On) > mostOn {
		t.Errorf("%d lines, of %+v", len(all)-begun, all[begun:])
	}
	r.pass(failureTime + 2*time.Second)
	begun = len(r.lines())
	r.c.storage = storageFull
	guess("192.0.2.1")
	guess("192.0.2.1")
	r.c.sumUp(true)
	if !r.c.batch.Empty() {
		t.Error("something is to be written while the disk is full")
	}
	r.c.storage = storageOK
	r.pass(failureTime + 2*time.Second)
	if all := r.lines()[begun:]; len(all) != 1 || all[0].Count != 2 {
		t.Errorf("%+v", all)
	}
}

func TestAuditIsPrunedInOrder(t *testing.T) {
	r := newRig(t)
	admin := r.client(wire.RoleAdmin)
	for range 300 {
		r.submit(admin, 1)
	}
	keep := store.Keep{Audit: 100}
	for more := true; more; {
		p, err := r.db.Prune(context.Background(), keep, r.now, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		more = p.More
	}
	all := r.lines()
	if len(all) != 100 || all[99].Seq != r.c.audited.Seq {
		t.Errorf("%d lines, the last is %d of %d", len(all), all[len(all)-1].Seq, r.c.audited.Seq)
	}
	r.start()
	r.submit(r.client(wire.RoleAdmin), 1)
	r.lines()
	if _, err := store.VerifyAudit(context.Background(), r.path, []byte("a head of before"), func(store.Audited) error { return nil }); !errors.Is(err, store.ErrAudit) {
		t.Errorf("an unknown head: %v", err)
	}
}
