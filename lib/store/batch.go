package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Task is the part of a task that changes.
type Task struct {
	ID       task.ID
	State    task.State
	Attempt  int
	Device   string
	Reason   string
	Failures int
	Losses   int
	Eligible time.Time
	Started  time.Time
	Finished time.Time
	ExitCode *int
	Output   int64
}

// NewTask is a task that was submitted.
type NewTask struct {
	ID        task.ID
	Job       task.JobID
	Owner     string       // of the job
	Spec      task.Spec    // with hidden secrets
	Secrets   task.Secrets // as they are; only where it is submitted
	Submitted time.Time
}

// Attempt is an attempt with its lease.
type Attempt struct {
	task.Attempt
	Task  task.ID
	Lease string
}

// Device is what is kept of a device.
type Device struct {
	ID          string
	Fingerprint string
	Profile     device.Profile
	Draining    bool
	DrainBy     time.Time // when it gives back what it has not finished; zero: never
	Joined      time.Time
	Seen        time.Time
	BootCount   int64
	Address     string
	Completed   int64
	Failed      int64
	Standing    Standing
	Invite      string // id of the invitation that it joined with
}

// Standing is how far a device is trusted.
type Standing string

// The standings.
const (
	Trusted   Standing = ""          // it has joined
	Pending   Standing = "pending"   // it has joined, and is not approved yet
	Untrusted Standing = "untrusted" // it has no key: anybody may have said what is known of it
)

// Token is what is kept of a client's token.
type Token struct {
	ID, Role, Name string
	Kind           TokenKind
	Parent         string // id of the token that it speaks for; empty: of itself
	Owner          string // of a login or a session: whose jobs alone it sees; empty: all
	Grant          cluster.Grant
	Hash           []byte
	Created        time.Time
	Expires        time.Time // zero: never
	Used           time.Time // last; kept of sessions only
}

// TokenKind says what a token is for.
type TokenKind string

// The kinds.
const (
	TokenKept    TokenKind = ""        // by somebody, in a file
	TokenLogin   TokenKind = "login"   // it becomes a session, once
	TokenSession TokenKind = "session" // a browser's
)

// Invite is what is kept of an invitation.
type Invite struct {
	ID      string
	Hash    []byte
	Expires time.Time
	Uses    int    // devices that it is still good for
	UsedBy  string // fingerprint of the last one
}

// Revoked is a key that is not let in again.
type Revoked struct {
	Fingerprint, Device string
	At                  time.Time
}

// Audited is a line of the audit log. Hash is SHA-256 of that of the line before and of the line.
type Audited struct {
	Seq  int64
	Line []byte
	Hash []byte
}

// Key is a stretch of tasks that were submitted under a key: task i is number First+(i-Index).
type Key struct {
	Principal, Key string
	Index, Count   int
	First          task.ID
	At             time.Time
}

type attemptID struct {
	task   task.ID
	number int
}

type piece struct {
	attemptID
	chunk task.Chunk
}

// Batch collects what one round of the loop decided.
type Batch struct {
	db       *DB
	added    []NewTask
	tasks    map[task.ID]Task
	attempts map[attemptID]Attempt
	devices  map[string]Device
	gone     []string
	pieces   []piece
	keys     []Key
	tokens   []Token
	revoked  []string
	invites  []Invite
	barred   []Revoked
	audited  []Audited
	events   []cluster.Event
	meta     map[string]any
}

// NewBatch begins a batch. It does not touch the database before Commit.
func (db *DB) NewBatch() *Batch {
	return &Batch{db: db, tasks: map[task.ID]Task{}, attempts: map[attemptID]Attempt{}, devices: map[string]Device{}, meta: map[string]any{}}
}

// Submit adds a task, queued.
func (b *Batch) Submit(t NewTask) { b.added = append(b.added, t) }

// Task writes how a task stands.
func (b *Batch) Task(t Task) { b.tasks[t.ID] = t }

// Attempt writes how an attempt stands.
func (b *Batch) Attempt(a Attempt) { b.attempts[attemptID{a.Task, a.Number}] = a }

// Output adds a piece of what an attempt printed.
func (b *Batch) Output(id task.ID, attempt int, c task.Chunk) {
	b.pieces = append(b.pieces, piece{attemptID{id, attempt}, c})
}

// Device writes a device.
func (b *Batch) Device(d Device) { b.devices[d.ID] = d }

// RemoveDevice forgets a device.
func (b *Batch) RemoveDevice(id string) {
	delete(b.devices, id)
	b.gone = append(b.gone, id)
}

// Key remembers a submission's key.
func (b *Batch) Key(k Key) { b.keys = append(b.keys, k) }

// Token writes a token.
func (b *Batch) Token(t Token) { b.tokens = append(b.tokens, t) }

// RevokeToken ends a token.
func (b *Batch) RevokeToken(id string) { b.revoked = append(b.revoked, id) }

// Invite writes an invitation.
func (b *Batch) Invite(i Invite) { b.invites = append(b.invites, i) }

// Revoke bars a key.
func (b *Batch) Revoke(r Revoked) { b.barred = append(b.barred, r) }

// Audit adds a line to the audit log.
func (b *Batch) Audit(a Audited) { b.audited = append(b.audited, a) }

// Audits says whether the batch adds to the audit log.
func (b *Batch) Audits() bool { return len(b.audited) > 0 }

// Event adds an event, whose number the caller has given.
func (b *Batch) Event(e cluster.Event) { b.events = append(b.events, e) }

// Set writes a value of the cluster itself, such as the next task's number.
func (b *Batch) Set(key string, value any) { b.meta[key] = value }

// Pending is the stretches of a key that this batch adds.
func (b *Batch) Pending(principal, key string) []Key {
	var found []Key
	for _, k := range b.keys {
		if k.Principal == principal && k.Key == key {
			found = append(found, k)
		}
	}
	return found
}

// Added is a task that this batch submits.
func (b *Batch) Added(id task.ID) (NewTask, bool) {
	i, ok := slices.BinarySearchFunc(b.added, id, func(t NewTask, id task.ID) int { return int(int64(t.ID) - int64(id)) })
	if !ok {
		return NewTask{}, false
	}
	return b.added[i], true
}

// PendingTask is how this batch leaves a task, where it changes it.
func (b *Batch) PendingTask(id task.ID) (Task, bool) {
	t, ok := b.tasks[id]
	return t, ok
}

// PendingAttempt is how this batch leaves an attempt, where it changes it.
func (b *Batch) PendingAttempt(id task.ID, number int) (Attempt, bool) {
	a, ok := b.attempts[attemptID{id, number}]
	return a, ok
}

// Empty says whether there is nothing to commit.
func (b *Batch) Empty() bool {
	return len(b.added)+len(b.tasks)+len(b.attempts)+len(b.devices)+len(b.gone)+len(b.pieces)+len(b.keys)+
		len(b.tokens)+len(b.revoked)+len(b.invites)+len(b.barred)+len(b.audited)+len(b.events)+len(b.meta) == 0
}

// Commit writes all of the batch or nothing; when it returns nil all is on disk. Errors are ErrFull, and others after which
// what the disk holds is not known: the process must end.
func (b *Batch) Commit(ctx context.Context) error {
	if b.Empty() {
		return nil
	}
	conn, err := b.db.w.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", classify(err))
	}
	defer conn.Close()
	return conn.Raw(func(c any) error { return b.commit(c.(*sqlite3.SQLiteConn)) })
}

// commit speaks with the driver itself: the way through database/sql costs more than SQLite does for rows as small as these.
func (b *Batch) commit(c *sqlite3.SQLiteConn) error {
	w := &writer{stmt: &b.db.stmt}
	if w.exec(w.stmt.begin); w.err != nil {
		return fmt.Errorf("begin transaction: %w", classify(w.err))
	}
	defer func() {
		if !c.AutoCommit() { // the transaction is open still
			w.err = nil
			w.exec(w.stmt.rollback)
		}
	}()
	if err := b.write(w); err != nil {
		return fmt.Errorf("write batch: %w", classify(err))
	}
	if w.exec(w.stmt.commit); w.err != nil {
		return fmt.Errorf("commit: %w", classify(w.err))
	}
	return nil
}

func (b *Batch) write(w *writer) error {
	for _, t := range b.added {
		state, changed := b.tasks[t.ID]
		if !changed {
			state = Task{ID: t.ID, State: task.Queued}
		}
		w.insertTask(t, state)
	}
	w.jobs(b.added)
	for _, t := range b.tasks {
		if _, inserted := b.Added(t.ID); inserted {
			continue
		}
		w.exec(w.stmt.updateTask, t.State, t.Attempt, t.Device, t.Reason, t.Failures, t.Losses, ms(t.Eligible), ms(t.Started), ms(t.Finished), null(t.ExitCode), t.Output, t.ID)
	}
	for _, a := range b.attempts {
		w.attempt(a)
	}
	for _, p := range b.pieces {
		w.exec(w.stmt.output, p.task, p.number, p.chunk.Position, p.chunk.Stream, p.chunk.After.Milliseconds(), p.chunk.Data)
	}
	for _, k := range b.keys {
		w.exec(w.stmt.key, k.Principal, k.Key, k.Index, k.Count, k.First, ms(k.At))
	}
	for _, e := range b.events {
		w.exec(w.stmt.event, e.Seq, ms(e.Time), e.Kind, e.Device, e.Job, e.Task, e.Attempt, e.State, null(e.ExitCode), e.Count, e.Output, e.Reason)
	}
	for _, a := range b.audited {
		w.exec(w.stmt.audit, a.Seq, string(a.Line), a.Hash)
	}
	b.writeRest(w)
	return w.err
}

func (b *Batch) writeRest(w *writer) {
	for _, id := range b.gone {
		w.exec(w.stmt.removeDevice, id)
	}
	for _, d := range b.devices {
		w.device(d)
	}
	for _, t := range b.tokens {
		w.token(t)
	}
	for _, id := range b.revoked {
		w.exec(w.stmt.revoke, id)
	}
	for _, i := range b.invites {
		w.exec(w.stmt.invite, i.ID, i.Hash, ms(i.Expires), i.Uses, i.UsedBy)
	}
	for _, r := range b.barred {
		w.exec(w.stmt.bar, r.Fingerprint, r.Device, ms(r.At))
	}
	for _, k := range slices.Sorted(maps.Keys(b.meta)) {
		w.exec(w.stmt.set, k, b.meta[k])
	}
}

// writer writes in one transaction and remembers the first error.
type writer struct {
	stmt *statements
	args []driver.NamedValue // used again
	err  error
}

func (w *writer) exec(s *sqlite3.SQLiteStmt, args ...any) {
	if w.err != nil {
		return
	}
	w.args = w.args[:0]
	for i, v := range args {
		w.args = append(w.args, driver.NamedValue{Ordinal: i + 1, Value: plain(v)})
	}
	_, w.err = s.ExecContext(context.Background(), w.args)
}

// plain is a value as the driver takes it.
func plain(v any) driver.Value {
	switch v := v.(type) {
	case nil, int64, float64, bool, string, []byte:
		return v
	case int:
		return int64(v)
	case task.ID:
		return int64(v)
	case task.JobID:
		return int64(v)
	case task.State:
		return int64(v)
	case task.Priority:
		return int64(v)
	case task.Stream:
		return int64(v)
	case task.Outcome:
		return string(v)
	case cluster.Kind:
		return string(v)
	}
	panic(fmt.Sprintf("store: no column holds a %T", v))
}

func (w *writer) insertTask(t NewTask, s Task) {
	var needs any
	if !reflect.ValueOf(t.Spec.Requirements).IsZero() {
		b, err := json.Marshal(t.Spec.Requirements)
		w.note(err)
		needs = string(b)
	}
	var payload, retryOn any
	if len(t.Spec.Payload) > 0 {
		payload = string(t.Spec.Payload)
	}
	if len(t.Spec.RetryOn) > 0 {
		b, err := json.Marshal(t.Spec.RetryOn)
		w.note(err)
		retryOn = string(b)
	}
	var provision any
	if t.Spec.Provision != (task.Provision{}) {
		b, err := json.Marshal(t.Spec.Provision)
		w.note(err)
		provision = string(b)
	}
	if t.Spec.Files != nil {
		w.files(t.ID, t.Spec.Files.In)
	}
	if len(t.Secrets) > 0 && !s.State.Ended() {
		b, err := json.Marshal(t.Secrets)
		w.note(err)
		w.exec(w.stmt.secrets, t.ID, b)
	}
	w.exec(w.stmt.insertTask, t.ID, t.Job, t.Spec.Type, t.Spec.Name, t.Spec.Priority, t.Spec.Timeout, t.Spec.Retries, payload, needs, ms(t.Submitted),
		t.Spec.Exclusive, t.Spec.AtMostOnce, t.Spec.Backoff, retryOn, provision, s.State, s.Attempt, s.Device, s.Reason, s.Failures, s.Losses, ms(s.Eligible), ms(s.Started), ms(s.Finished), null(s.ExitCode), s.Output)
}

// jobs notes how far the jobs of new tasks reach.
func (w *writer) jobs(added []NewTask) {
	for i, t := range added {
		if i+1 == len(added) || added[i+1].Job != t.Job {
			w.exec(w.stmt.job, t.Job, t.ID, t.Owner)
		}
	}
}

func (w *writer) attempt(a Attempt) {
	var files any
	if len(a.Files) > 0 {
		b, err := json.Marshal(a.Files)
		w.note(err)
		files = string(b)
	}
	w.exec(w.stmt.attempt, a.Task, a.Number, a.Lease, a.Device, a.Outcome, a.Reason, ms(a.Leased), msPtr(a.Started), msPtr(a.Finished), null(a.ExitCode),
		a.Wall, a.Metrics.CPUTime, a.Metrics.MemoryPeak, a.Output, files)
	w.files(a.Task, a.Files)
}

// files notes that files belong to a task.
func (w *writer) files(id task.ID, files []task.File) {
	for i := range files {
		w.exec(w.stmt.file, files[i].SHA256, id)
	}
}

func (w *writer) device(d Device) {
	profile, err := json.Marshal(d.Profile)
	w.note(err)
	w.exec(w.stmt.device, d.ID, d.Fingerprint, string(profile), d.Draining, ms(d.DrainBy), ms(d.Joined), ms(d.Seen), d.BootCount, d.Address, d.Completed, d.Failed, string(d.Standing), d.Invite)
}

func (w *writer) token(t Token) {
	grant, err := json.Marshal(t.Grant)
	w.note(err)
	w.exec(w.stmt.token, t.ID, t.Role, t.Name, t.Hash, ms(t.Created), ms(t.Expires), string(t.Kind), t.Parent, t.Owner, string(grant), ms(t.Used))
}

func (w *writer) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

func null(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

func msPtr(t *time.Time) any {
	if t == nil {
		return nil
	}
	return ms(*t)
}
