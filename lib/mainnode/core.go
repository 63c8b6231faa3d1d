// Package mainnode is the heart of rc-mained: sessions, the batch loop, heartbeats and timeouts, events to those who follow
// them. It is for rc-mained alone; its API may change in any release.
//
// The core decides: it is a step function over the state of the cluster, which sees messages, time and randomness as
// arguments, writes what it decides into a batch of the store and what is to be said into effects. The loop takes everything
// that waits, lets the core decide, commits once, and only then says it. Sessions speak with the other side and hold no
// state of the cluster. Begin with Node.
package mainnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/limit"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Settings are what an owner may choose. The zero value is not usable; see Defaults.
type Settings struct {
	Name         string        // of the main node, for people
	Heartbeat    time.Duration // between two heartbeats of a device
	OfflineAfter time.Duration // of silence, a device is shown as offline
	Ageing       time.Duration // of waiting is worth one level of priority
	QueueLimit   int           // tasks
	Keep         store.Keep
	Backup       Backup
	Discovery    string         // address at which who looks for main nodes is answered; empty: nowhere
	WakeTo       []string       // addresses that magic packets are sent to; none: all networks of this host
	FilesLimit   int64          // bytes of files that go with tasks; 0: any
	Approve      bool           // a device that has joined is not let in before somebody approves of it
	PlainFrom    []netip.Prefix // networks from which clients of the first Retire-Cluster are answered, without TLS
}

// Defaults are the settings that an owner need not change.
func Defaults() Settings {
	return Settings{
		Name: "main", Heartbeat: time.Minute, OfflineAfter: 5 * time.Minute, Ageing: 12 * time.Hour, QueueLimit: 10_000_000, FilesLimit: 20 << 30,
		Keep:   store.Keep{TasksFor: 30 * 24 * time.Hour, Tasks: 1_000_000, OutputBytes: 2 << 30, Events: 1_000_000, Audit: 1_000_000, KeysFor: 30 * 24 * time.Hour},
		Backup: Backup{Every: time.Hour, Keep: 24},
	}
}

// Lease is how long after its last message a silent device keeps its attempts: half as long again as it takes to be shown as
// offline, so that losing Wi-Fi for that long restarts nothing.
func (s *Settings) Lease() time.Duration { return s.OfflineAfter * 3 / 2 }

// told is what those may know who may read.
func (s *Settings) told() *wire.Settings {
	return &wire.Settings{Protocol: wire.Spoken, Heartbeat: s.Heartbeat.Seconds(), OfflineAfter: s.OfflineAfter.Seconds(), Lease: s.Lease().Seconds(),
		Ageing: s.Ageing.Seconds(), QueueLimit: s.QueueLimit, FilesLimit: s.FilesLimit, Approve: s.Approve, Plain: len(s.PlainFrom) > 0,
		KeepTasksFor: s.Keep.TasksFor.Seconds(), KeepTasks: s.Keep.Tasks, KeepOutput: s.Keep.OutputBytes, KeepEvents: s.Keep.Events, BackupEvery: s.Backup.Every.Seconds()}
}

// Validate says which setting cannot be.
func (s *Settings) Validate() error {
	switch {
	case s.Heartbeat < 50*time.Millisecond:
		return fmt.Errorf("heartbeat %s: at least 50ms", s.Heartbeat)
	case s.OfflineAfter < 3*s.Heartbeat:
		return fmt.Errorf("offline_after %s: at least three heartbeats (%s), or one that is late looks like a device that is gone", s.OfflineAfter, 3*s.Heartbeat)
	case s.Ageing < time.Second:
		return fmt.Errorf("ageing %s: at least 1s", s.Ageing)
	case s.QueueLimit < 1:
		return fmt.Errorf("queue_limit %d: at least 1", s.QueueLimit)
	case s.Keep.Tasks < 0 || s.Keep.Events < 0:
		return errors.New("keep_tasks and keep_events: a number, or 0 for no bound")
	}
	return s.Backup.validate()
}

// lostLimit is how many devices may be lost under a task before it is set aside.
const lostLimit = 3

// Core is the state of the cluster, and the only one who changes it. It is not safe for many goroutines.
type Core struct {
	set   Settings
	db    *store.DB
	ctx   context.Context // of the process, for reading the store
	log   *slog.Logger
	lease func() string

	tasks          map[task.ID]*openTask // those that are not over, but for the untouched
	queue          *scheduler.Queue
	touchedInQueue int         // how many of tasks wait in it
	later          []*openTask // wait for their retry, in no order; few
	devices        map[string]*machine
	byKey          map[string]*machine // by fingerprint
	named          []*machine          // by name, see byName
	ready          ready
	aside          []*machine            // of those, while tasks are given, the ones that want none of what waits
	crowded        map[*machine]struct{} // devices that hold more than they can run
	sessions       map[int64]*session
	reserving      []*machine // those that are kept for a task
	tokens         map[string]store.Token
	rates          map[string]*limit.Bucket // by token
	invites        map[string]store.Invite
	revoked        map[string]string // names of devices that were removed, by fingerprint
	audited        store.Audited     // the newest line of the audit log
	failures       failures
	guesses        guesses

	started     time.Time
	nextTask    task.ID
	lastEvent   int64
	incarnation string
	restored    string // name of the backup that it was restored from, which the audit log does not have yet; "": it was not
	fork        fork
	fingerprint string   // of the main node
	addresses   []string // of the main node
	self        string   // "rc-mained 0.1.0"
	counts      counts
	bodies      bodies
	pending     bool // something changed that may let a task be assigned
	ticked      time.Time
	broken      error // the store cannot be read: the process must end
	storage     storage
	roomNeeded  int64           // bytes that must be free before it goes on with a full disk
	notes       []cluster.Event // of what happened between rounds

	// Of the round:
	now     time.Time
	batch   *store.Batch
	effects []Effect
	events  []cluster.Event
	touched []task.ID // tasks whose output or state changed
	printed []printed // of attempts that have ended
}

// session is a connection as the core sees it.
type session struct {
	id        int64
	role      wire.Role
	principal string   // whose keys of submissions count as the same
	device    *machine // of a worker
	assigns   int64    // number of the last assignment
	token     string   // id of the token that it came with; of a device's connection for files filesOf it
	owner     string   // whose jobs alone it may see; empty: all
	grant     cluster.Grant
	who, from string // for the audit log
}

// Effect is something to be done after the commit.
type Effect struct {
	Session int64
	Message wire.Message  // to be said, if it has a type
	Role    wire.Role     // with welcome: what the session may do from now on
	Who     standing      // with Role
	Close   bool          // end the session after that
	After   time.Duration // later than at once by so much
	Wake    []string      // instead of all of that: addresses of a device to be woken
	Host    string        // or: the token that commands on this host use from now on
}

// Input is something that happened to the core from outside.
type Input struct {
	Session     int64
	Fingerprint string       // with hello and join: of the other side's certificate
	Address     string       // with hello and join: of the other side
	Local       string       // with hello: the user of this host that is at the other side, where the kernel vouches for it
	Digest      string       // with submit: SHA-256 of its types and payloads, in hexadecimal
	Message     wire.Message // without its data
	Body        any          // the message's data as Decode gave it; nil: the session ended

	query func(*Core)   // instead of all of that: a look at the state
	done  chan struct{} // closed after the commit; may be nil
	err   error         // before done: it was not committed
}

// Ask is an input that looks at the core, or acts on it, between two others.
func Ask(f func(*Core)) *Input { return &Input{query: f} }

// Round is what the core has decided: rows to commit and, only after that, what to do.
type Round struct {
	Batch   *store.Batch
	Effects []Effect
	Events  []cluster.Event
	Touched []task.ID // tasks whose output or state changed
	printed []printed // of attempts that have ended
}

// Decide takes inputs in their order, then looks at what time has brought and what can be assigned.
func (c *Core) Decide(now time.Time, inputs []*Input) Round {
	c.begin(now)
	c.tell()
	for _, in := range inputs {
		c.step(in)
	}
	if c.storage != storageFull {
		c.timeouts()
	}
	if c.storage == storageOK {
		c.assign()
	}
	return c.decided()
}

// decided ends a round.
func (c *Core) decided() Round {
	return Round{c.batch, c.effects, c.events, c.touched, c.printed}
}

// begin starts a round.
func (c *Core) begin(now time.Time) {
	c.now = now
	c.batch = c.db.NewBatch()
	c.effects, c.events, c.touched, c.printed = nil, nil, nil, nil
}

// step takes one input.
func (c *Core) step(in *Input) {
	if in.query != nil {
		in.query(c)
		return
	}
	s := c.sessions[in.Session]
	if in.Body == nil {
		c.closed(s)
		return
	}
	if s != nil && s.device != nil {
		c.heard(s.device)
	}
	before := len(c.effects)
	reply, err := c.dispatch(s, in)
	c.note(s, in, reply, err)
	switch {
	case err != nil:
		c.refuse(in, err)
	case reply != nil && in.Message.ID != "":
		c.say(in.Session, wire.Message{Type: wire.TypeAck, ReplyTo: in.Message.ID, Body: reply})
	}
	c.closeLast(in.Session, before)
}

// closeLast has a session whose end was its own wish, as at a login or a logout, hear the answer before it ends.
func (c *Core) closeLast(session int64, since int) {
	for i := since; i < len(c.effects); i++ {
		if e := c.effects[i]; e.Session == session && e.Close && e.Message.Type == "" {
			c.effects = append(slices.Delete(c.effects, i, i+1), e)
			return
		}
	}
}

// none is the data of an ack that has nothing to tell.
type none struct{}

// dispatch is the table from message to function. A nil reply means that the function has answered itself or that none is due.
func (c *Core) dispatch(s *session, in *Input) (reply any, err error) {
	if err := c.whileFull(in.Body); err != nil {
		return nil, err
	}
	switch body := in.Body.(type) {
	case *wire.Hello:
		return nil, c.hello(in, body)
	case *wire.Join:
		return c.join(in, body)
	}
	switch {
	case s == nil:
		return nil, wire.Errorf(wire.ErrAuth, "%.40s before hello", in.Message.Type)
	case s.device != nil:
		if err := c.honest(s, in.Body); err != nil {
			return nil, err
		}
		return c.fromWorker(s, in.Body)
	case s.role == wire.RoleLogin:
		return c.fromLogin(s, in)
	}
	return c.fromClient(s, in.Body)
}

func (c *Core) fromWorker(s *session, body any) (any, error) {
	switch body := body.(type) {
	case *device.Profile:
		c.register(s, body)
		return none{}, nil
	case *wire.Heartbeat:
		return c.heartbeat(s, body), nil
	case *wire.Accept:
		c.accept(s, body.Lease)
		return nil, nil
	case *wire.Progress:
		c.progress(s, body)
		return nil, nil
	case *wire.Output:
		return nil, c.output(s, body)
	case *wire.Result:
		return c.result(s, body)
	case *wire.Release:
		c.release(s, body)
		return nil, nil
	case *bye:
		c.leave(s)
		return none{}, nil
	}
	return nil, wire.Errorf(wire.ErrForbidden, "a worker may not ask for that")
}

func (c *Core) fromClient(s *session, body any) (any, error) {
	need := wire.RoleAdmin
	switch body.(type) {
	case *wire.Submit:
		need = wire.RoleSubmit
	case *wire.MakeLogin, *logout:
		need = wire.RoleRead
	}
	if !s.role.May(need) {
		return nil, wire.Errorf(wire.ErrForbidden, "this needs a token of the role %s, yours is %s", need, s.role)
	}
	switch body := body.(type) {
	case *wire.Submit:
		return c.submit(s, body)
	case *deviceAction:
		return none{}, c.actOnDevice(body)
	case *wire.Invite:
		return c.invite(body)
	case *wire.MakeToken:
		return c.makeToken(body)
	case *tokenList:
		return c.listTokens(), nil
	case *wire.RevokeToken:
		return none{}, c.revokeToken(body)
	case *wire.MakeLogin:
		return c.makeLogin(s, body)
	case *logout:
		return none{}, c.logout(s)
	}
	return nil, wire.Errorf(wire.ErrForbidden, "only a worker may say that")
}

// Bodies of messages that wire has no type for, or that a session has looked up already.
type (
	bye          struct{}
	tokenList    struct{}
	login        struct{}
	logout       struct{}
	deviceAction struct {
		verb   string // drain, undrain, remove, approve, wake
		name   string
		within time.Duration // to drain in; 0: without end
	}
)

func (c *Core) say(to int64, m wire.Message) {
	c.effects = append(c.effects, Effect{Session: to, Message: m})
}

// refuse answers with an error; a stranger who is refused is not listened to any longer.
func (c *Core) refuse(in *Input, err error) {
	e := wire.NewError(err)
	level := slog.LevelDebug
	if e.Code == "E_INTERNAL" {
		level = slog.LevelError
	}
	c.log.Log(c.ctx, level, "refused", "message", in.Message.Type, "session", in.Session, "err", err)
	answer := Effect{Session: in.Session, Message: wire.Message{Type: wire.TypeError, ReplyTo: in.Message.ID, Body: e}}
	if answer.Close = c.sessions[in.Session] == nil; answer.Close && isGuess(in.Body, e) {
		if answer.Message.Body = c.guessed(in.Address, e); answer.Message.Body == e {
			answer.After = guessWait + time.Duration(in.Session%16)*guessWait/16
		}
	}
	c.effects = append(c.effects, answer)
}

// closed forgets a session. Its device is not lost: it may come back as long as its lease lasts.
func (c *Core) closed(s *session) {
	if s == nil {
		return
	}
	delete(c.sessions, s.id)
	if d := s.device; d != nil && d.session == s {
		d.session = nil
		c.update(d)
	}
}

// event notes that something happened.
func (c *Core) event(e cluster.Event) {
	c.lastEvent++
	e.Seq, e.Time = c.lastEvent, c.now.UTC().Truncate(time.Millisecond) // as it is read back from the store
	c.batch.Event(e)
	c.events = append(c.events, e)
}
