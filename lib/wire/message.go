package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Version is the version of the protocol that this package speaks, the lowest and the highest.
const Version = 1

// Message is the envelope of all that is said.
type Message struct {
	Type      string          `json:"message_type"`
	Sender    string          `json:"sender_id,omitempty"`
	Target    string          `json:"target_id,omitempty"`
	ID        string          `json:"message_id,omitempty"`
	ReplyTo   string          `json:"reply_to,omitempty"`
	Timestamp string          `json:"timestamp,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"` // of a message that was read
	Body      any             `json:"-"`              // of a message to be written
}

// The types of messages.
const (
	TypeHello        = "hello"
	TypeWelcome      = "welcome"
	TypeJoin         = "join"
	TypeRegister     = "register"
	TypeHeartbeat    = "heartbeat"
	TypeTaskAssign   = "task_assign"
	TypeTaskAccept   = "task_accept"
	TypeTaskProgress = "task_progress"
	TypeTaskOutput   = "task_output"
	TypeTaskResult   = "task_result"
	TypeTaskRelease  = "task_release"
	TypeTaskCancel   = "task_cancel"
	TypeBye          = "bye"
	TypeAck          = "ack"
	TypeError        = "error"

	TypePing         = "ping"
	TypeStatus       = "status"
	TypeMetrics      = "metrics"
	TypeDevices      = "devices"
	TypeDevice       = "device"
	TypeTasks        = "tasks"
	TypeTask         = "task"
	TypeSubmit       = "submit"
	TypeCancel       = "cancel"
	TypeRetry        = "retry"
	TypeDrain        = "drain"
	TypeUndrain      = "undrain"
	TypeRemove       = "remove"
	TypeInvite       = "invite"
	TypeTokenMake    = "token_make"
	TypeTokenList    = "token_list"
	TypeTokenRevoke  = "token_revoke"
	TypeFollowEvents = "follow_events"
	TypeFollowOutput = "follow_output"
	TypeUnfollow     = "unfollow"
	TypeEvent        = "event"
	TypeOutput       = "output"
)

// Range is the versions of the protocol that somebody speaks.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Spoken is the range of this package.
var Spoken = Range{Min: Version, Max: Version}

// Common is the highest version in both ranges; the error is ErrProto.
func (r Range) Common(o Range) (int, error) {
	v := min(r.Max, o.Max)
	if v < max(r.Min, o.Min) || v < 1 {
		return 0, Errorf(ErrProto, "the main node speaks versions %d to %d, you %d to %d", r.Min, r.Max, o.Min, o.Max)
	}
	return v, nil
}

// Hello begins every connection but that of a device that joins.
type Hello struct {
	Protocol  Range  `json:"protocol"`
	Software  string `json:"software,omitempty"`
	Token     string `json:"token,omitempty"`      // of a client
	BootCount int64  `json:"boot_count,omitempty"` // of a worker, as all that follows
	Session   int64  `json:"session,omitempty"`
	Held      []Held `json:"held,omitempty"`
}

// Held is an attempt that a worker holds.
type Held struct {
	task.Lease
	State       HeldState `json:"state,omitempty"`
	OutputBytes int64     `json:"output_bytes"`
	Verdict     Verdict   `json:"verdict,omitempty"` // in welcome
}

// HeldState says how far a held attempt has come.
type HeldState string

// An attempt waits for a free slot, is running, or has ended and waits for its verdict.
const (
	HeldWaiting HeldState = "waiting"
	HeldRunning HeldState = "running"
	HeldEnded   HeldState = "ended"
)

// Verdict is the main node's word on an attempt.
type Verdict string

// The verdicts. The first four are final: the worker forgets the attempt.
const (
	Recorded  Verdict = "recorded"
	Duplicate Verdict = "duplicate"
	Stale     Verdict = "stale"
	Unknown   Verdict = "unknown"
	Resend    Verdict = "resend" // output is missing
	Keep      Verdict = "keep"
	Kill      Verdict = "kill"
)

// Final says whether the worker may forget the attempt.
func (v Verdict) Final() bool {
	return v == Recorded || v == Duplicate || v == Stale || v == Unknown
}

// Welcome answers Hello.
type Welcome struct {
	Protocol    int      `json:"protocol"`
	Software    string   `json:"software,omitempty"`
	MainNode    string   `json:"main_node"`
	Role        Role     `json:"role"`
	DeviceID    string   `json:"device_id,omitempty"` // to a worker, as all that follows
	Heartbeat   float64  `json:"heartbeat,omitempty"` // seconds
	Lease       float64  `json:"lease,omitempty"`     // seconds
	Incarnation string   `json:"incarnation,omitempty"`
	Addresses   []string `json:"addresses,omitempty"`
	Held        []Held   `json:"held,omitempty"`
}

// Join enrols a device: with an invitation, or on the main node's host with an admin token.
type Join struct {
	Protocol Range  `json:"protocol"`
	Invite   string `json:"invite,omitempty"`
	Secret   string `json:"secret,omitempty"`
	Token    string `json:"token,omitempty"`
	Name     string `json:"name"`
}

// Joined answers Join.
type Joined struct {
	DeviceID string `json:"device_id"`
}

// Heartbeat says how a worker is and what it holds.
type Heartbeat struct {
	device.Heartbeat
	AssignSeen int64  `json:"assign_seen"`
	Held       []Held `json:"held"`
}

// HeartbeatAck answers Heartbeat.
type HeartbeatAck struct {
	Kill []task.Lease `json:"kill"`
}

// Assign gives an attempt to a worker.
type Assign struct {
	Number int64        `json:"number"` // on this connection
	Task   AssignedTask `json:"task"`
}

// AssignedTask is the task of an Assign.
type AssignedTask struct {
	task.Lease
	task.Spec
}

// Accept says that an attempt is being started.
type Accept struct{ task.Lease }

// Progress says how far an attempt has come, in its own words.
type Progress struct {
	task.Lease
	Text string `json:"text"`
}

// Release gives an attempt back.
type Release struct {
	task.Lease
	Started bool   `json:"started"`
	Reason  string `json:"reason,omitempty"`
}

// Cancel asks a worker to end an attempt.
type Cancel struct {
	task.Lease
	Reason string `json:"reason,omitempty"`
}

// MaxPiece is how many bytes of output one message carries.
const MaxPiece = 16 << 10

// Piece is a piece of output on the wire.
type Piece struct {
	Stream   task.Stream `json:"stream"`
	Position int64       `json:"position"`
	AfterMS  int64       `json:"after_ms"`
	Text     string      `json:"data,omitempty"`
	Base64   string      `json:"base64,omitempty"`
}

// NewPiece makes a piece of a chunk.
func NewPiece(c task.Chunk) Piece {
	p := Piece{Stream: c.Stream, Position: c.Position, AfterMS: c.After.Milliseconds()}
	if utf8.Valid(c.Data) {
		p.Text = string(c.Data)
	} else {
		p.Base64 = base64.StdEncoding.EncodeToString(c.Data)
	}
	return p
}

// Chunk gives back what NewPiece was made of. The error is ErrField.
func (p *Piece) Chunk() (task.Chunk, error) {
	c := task.Chunk{Stream: p.Stream, Position: p.Position, After: time.Duration(p.AfterMS) * time.Millisecond, Data: []byte(p.Text)}
	if p.Base64 != "" {
		b, err := base64.StdEncoding.DecodeString(p.Base64)
		if err != nil {
			return c, Errorf(ErrField, "base64 of a piece of output")
		}
		c.Data = b
	}
	if c.Stream == 0 {
		c.Stream = task.Stdout
	}
	if c.Position < 0 || len(c.Data) > MaxPiece {
		return c, Errorf(ErrField, "a piece of %d bytes of output at %d", len(c.Data), c.Position)
	}
	return c, nil
}

// Output is a piece of what an attempt printed, on its way to the main node.
type Output struct {
	task.Lease
	Piece
}

// OutputPiece is a piece of what an attempt printed, on its way to a follower.
type OutputPiece struct {
	Attempt int `json:"attempt"`
	Piece
}

// Result is how an attempt ended.
type Result struct {
	task.Lease
	Status      task.Outcome `json:"status"`
	Reason      string       `json:"reason,omitempty"`
	Wall        float64      `json:"execution_time"` // seconds
	OutputBytes int64        `json:"output_bytes"`   // of all output
	Result      ResultBody   `json:"result"`
}

// ResultBody is the inner part of Result.
type ResultBody struct {
	Output      string       `json:"output"`                 // follows what stdout printed before
	ErrorOutput string       `json:"error_output,omitempty"` // follows Output
	ExitCode    *int         `json:"exit_code,omitempty"`
	Metrics     task.Metrics `json:"metrics"`
}

// Outcome gives the result without its output.
func (r *Result) Outcome() task.Result {
	return task.Result{Status: r.Status, ExitCode: r.Result.ExitCode, Reason: r.Reason, Wall: r.Wall, Metrics: r.Result.Metrics}
}

// Judged answers Result.
type Judged struct {
	task.Lease
	Verdict     Verdict `json:"verdict"`
	OutputBytes int64   `json:"output_bytes,omitempty"` // with Resend: what the main node has
}

// Submit hands in tasks: all or none.
type Submit struct {
	Key      string      `json:"key,omitempty"`
	KeyIndex int         `json:"key_index,omitempty"`
	Job      task.JobID  `json:"job_id,omitempty"`
	Tasks    []task.Spec `json:"tasks"`
}

// Submitted answers Submit.
type Submitted struct {
	Job        task.JobID `json:"job_id"`
	Tasks      []task.ID  `json:"task_ids"`
	Duplicates int        `json:"duplicates"`
	Event      int64      `json:"event"` // number of the last event before the submission
}

// TaskFilter selects tasks; what is not set selects all.
type TaskFilter struct {
	States []task.State `json:"states,omitempty"`
	Device string       `json:"device_id,omitempty"`
	Job    task.JobID   `json:"job_id,omitempty"`
	Tasks  []task.ID    `json:"task_ids,omitempty"`
	Since  *time.Time   `json:"since,omitempty"` // submitted at that time or later
}

// ListTasks asks for tasks, in order of submission.
type ListTasks struct {
	Filter TaskFilter `json:"filter"`
	After  task.ID    `json:"after,omitempty"`
	Limit  int        `json:"limit,omitempty"`
	Newest bool       `json:"newest,omitempty"`
}

// TaskList answers ListTasks.
type TaskList struct {
	Tasks []task.Task `json:"tasks"`
	Next  task.ID     `json:"next,omitempty"`
}

// ShowTask asks for one task by its id or the beginning of it.
type ShowTask struct {
	Task string `json:"task_id"`
}

// TaskShown answers ShowTask.
type TaskShown struct {
	Task task.Task `json:"task"`
}

// DeviceList answers devices.
type DeviceList struct {
	Devices []device.Device `json:"devices"`
}

// NameDevice names a device, by its name or the beginning of it.
type NameDevice struct {
	Device string `json:"device_id"`
}

// DeviceShown answers device.
type DeviceShown struct {
	Device device.Device `json:"device"`
	Tasks  []task.Task   `json:"tasks"`
}

// Select chooses the tasks that an action is for: those that are named, or all of the jobs, if they are in one of the states.
type Select struct {
	Tasks  []string     `json:"tasks,omitempty"` // ids or beginnings of them
	Jobs   []task.JobID `json:"job_ids,omitempty"`
	States []task.State `json:"states,omitempty"`
	Device string       `json:"device_id,omitempty"`
}

// Selected answers an action on tasks.
type Selected struct {
	Count int `json:"count"`
}

// EventFilter selects events; what is not set selects all.
type EventFilter struct {
	Jobs   []task.JobID   `json:"job_ids,omitempty"`
	Tasks  []task.ID      `json:"task_ids,omitempty"`
	Kinds  []cluster.Kind `json:"events,omitempty"`
	Device string         `json:"device_id,omitempty"`
	Level  cluster.Level  `json:"level,omitempty"` // or louder
	Since  *time.Time     `json:"since,omitempty"`
}

// FollowEvents asks for the events after a number, and with Follow for those that will come.
type FollowEvents struct {
	After  int64       `json:"after"`
	Last   int         `json:"last,omitempty"` // without After: begin with this many of the newest
	Follow bool        `json:"follow"`
	Filter EventFilter `json:"filter"`
	Output bool        `json:"output,omitempty"`
}

// Event is an event on the wire. Pieces is the output of a task that ended, where the follower asked for it and it has
// at most MaxInline bytes.
type Event struct {
	cluster.Event
	Pieces []Piece `json:"result,omitempty"`
}

// MaxInline is how many bytes of output an Event carries.
const MaxInline = 4096

// Followed ends a follow of events.
type Followed struct {
	Next int64 `json:"next"` // number to follow after
}

// FollowOutput asks for what a task printed.
type FollowOutput struct {
	Task     string `json:"task_id"`
	Attempt  int    `json:"attempt,omitempty"` // 0: the newest
	Position int64  `json:"position"`
	Follow   bool   `json:"follow"`
}

// OutputEnd ends a follow of output.
type OutputEnd struct {
	Attempt  int   `json:"attempt"`
	Position int64 `json:"position"`
	Ended    bool  `json:"ended"` // the task is over
}

// Unfollow ends a follow early.
type Unfollow struct {
	Request string `json:"request"`
}

// Invite asks for a join code.
type Invite struct {
	Addresses []string `json:"addresses,omitempty"`
	Expires   int64    `json:"expires,omitempty"` // seconds from now
}

// Invited answers Invite.
type Invited struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// MakeToken asks for a client's token.
type MakeToken struct {
	Role    Role   `json:"role"`
	Name    string `json:"name,omitempty"`
	Expires int64  `json:"expires,omitempty"` // seconds from now; 0: never
}

// TokenMade answers MakeToken. It is the only time that the token itself is seen.
type TokenMade struct {
	ID          string `json:"id"`
	Token       string `json:"token"`
	Fingerprint string `json:"fingerprint"` // of the main node, for who uses the token elsewhere
}

// TokenInfo describes a token.
type TokenInfo struct {
	ID      string     `json:"id"`
	Role    Role       `json:"role"`
	Name    string     `json:"name,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

// TokenList answers token_list.
type TokenList struct {
	Tokens []TokenInfo `json:"tokens"`
}

// RevokeToken ends a token.
type RevokeToken struct {
	ID string `json:"id"`
}

// Metrics answers metrics: how the main node itself is. Counters count since its start.
type Metrics struct {
	Cluster        cluster.Status   `json:"cluster"`
	Sessions       int              `json:"sessions"`
	Batches        int64            `json:"batches"`
	Requests       int64            `json:"requests"`
	CommitSeconds  float64          `json:"commit_seconds"` // spent in commits
	DatabaseBytes  int64            `json:"database_bytes"`
	WALBytes       int64            `json:"wal_bytes"`
	Submitted      int64            `json:"tasks_submitted"`
	Assigned       int64            `json:"attempts_assigned"`
	Ended          map[string]int64 `json:"tasks_ended"` // by state
	Requeued       int64            `json:"attempts_requeued"`
	Lost           int64            `json:"attempts_lost"`
	Stale          int64            `json:"results_stale"`
	RunSeconds     float64          `json:"run_seconds"`  // of attempts that ended
	WaitSeconds    float64          `json:"wait_seconds"` // from submission to first start
	QueueByClass   int              `json:"queue_classes"`
	QueueByPrio    map[string]int   `json:"queue_by_priority"`
	MemoryBytes    int64            `json:"memory_bytes"` // held from the system
	GoroutineCount int              `json:"goroutines"`
}

// Decode reads the data of a message. The error is ErrField and names the message.
func (m *Message) Decode(into any) error {
	if len(m.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("%s: %w: %s", m.Type, ErrField, why(err))
	}
	return nil
}

func why(err error) string {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Sprintf("%s cannot be a %s", t.Field, t.Value)
	}
	s := err.Error()
	if len(s) > 120 {
		s = s[:120]
	}
	return s
}
