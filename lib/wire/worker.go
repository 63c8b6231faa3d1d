package wire

import (
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Hello begins every connection but that of a device that joins.
type Hello struct {
	Protocol  Range  `json:"protocol"`
	Software  string `json:"software,omitempty"`
	Token     string `json:"token,omitempty"`      // of a client
	BootCount int64  `json:"boot_count,omitempty"` // of a worker, as all that follows
	Session   int64  `json:"session,omitempty"`
	Life      string `json:"life,omitempty"` // random, of this process: two that take turns are two machines with one key
	Held      []Held `json:"held,omitempty"`
	Files     bool   `json:"files,omitempty"` // of a worker: this connection is for files alone, beside that of its session
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
	Fingerprint string   `json:"fingerprint,omitempty"` // of the main node: what to pin from now on
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
	Pending  bool   `json:"pending,omitempty"` // it is let in when somebody has approved of it
}

// Heartbeat says how a worker is and what it holds.
type Heartbeat struct {
	device.Heartbeat
	AssignSeen int64  `json:"assign_seen"`
	Held       []Held `json:"held"`
	Ahead      int    `json:"ahead,omitempty"` // attempts that it would hold beyond those that it can run
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

// Recall asks for an attempt back that a worker has not begun, since another could begin it at once.
type Recall struct{ task.Lease }

// Cancel asks a worker to end an attempt.
type Cancel struct {
	task.Lease
	Reason   string `json:"reason,omitempty"`
	GiveBack bool   `json:"give_back,omitempty"` // and to release it, so that it may run elsewhere
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
	Attempt  int    `json:"attempt"`
	Progress string `json:"progress,omitempty"` // instead of a piece: how far it has come
	Piece
}

// Result is how an attempt ended.
type Result struct {
	task.Lease
	Status      task.Outcome `json:"status"`
	Reason      string       `json:"reason,omitempty"`
	Wall        float64      `json:"execution_time"`  // seconds
	OutputBytes int64        `json:"output_bytes"`    // of all output
	Ahead       int          `json:"ahead,omitempty"` // as in Heartbeat
	Files       []task.File  `json:"files,omitempty"` // that the attempt has brought back, and that are here by now
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
	return task.Result{Status: r.Status, ExitCode: r.Result.ExitCode, Reason: r.Reason, Wall: r.Wall, Metrics: r.Result.Metrics, Files: r.Files}
}

// Judged answers Result.
type Judged struct {
	task.Lease
	Verdict     Verdict `json:"verdict"`
	OutputBytes int64   `json:"output_bytes,omitempty"` // with Resend: what the main node has
}
