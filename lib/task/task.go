// Package task holds the nouns of the work in a cluster: what a task is, what it asks for, how it may move between
// its states, how it ended. It is for everyone who reads or writes a cluster from Go; it does no I/O.
// Begin with Spec, which is what one submits, and Task, which is what one is shown.
package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Errors that a caller may test; they survive the way over the wire.
var (
	ErrBadID     = errors.New("not a task or job id (t or j and 8 characters, as rc-submit prints them)")
	ErrNotFound  = errors.New("no such task")
	ErrAmbiguous = errors.New("more than one task begins so; type more of its id")
	ErrInvalid   = errors.New("not a valid task")
	ErrLimit     = fmt.Errorf("%w: over a limit", ErrInvalid)
	ErrMove      = errors.New("not possible in its state")
	ErrKeyReused = errors.New("the key was used before for a different task")
	ErrQueueFull = errors.New("the queue is full")
)

// Spec is what to run, as it is submitted.
type Spec struct {
	Type         string          `json:"task_type"`
	Name         string          `json:"name,omitempty"` // for people
	Priority     Priority        `json:"priority"`
	Timeout      float64         `json:"timeout"` // seconds that one attempt may run; 0: no limit
	Retries      int             `json:"max_retries,omitempty"`
	Payload      json.RawMessage `json:"payload,omitempty"` // a JSON object; its shape is the type's affair
	Requirements Requirements    `json:"requirements"`
	Policy
	Provision
}

// Provision is what an attempt is given, and leaves behind.
type Provision struct {
	Limits  *Limits  `json:"limits,omitempty"`
	Files   *Files   `json:"files,omitempty"`
	Secrets *Secrets `json:"secrets,omitempty"` // a pointer, so that what is provided can be compared
}

// Limits is what one attempt may use, where its device does not allow less. A zero is no limit.
type Limits struct {
	Memory    int64   `json:"memory,omitempty"`    // bytes of all its processes together
	Processes int     `json:"processes,omitempty"` // at a time
	Disk      int64   `json:"disk,omitempty"`      // bytes in its private directory
	CPUs      float64 `json:"cpus,omitempty"`      // processors that it keeps busy
}

// Policy says how often a task may be run. The zero value is "at least once": an attempt that is lost with its device is followed by
// another, which may overlap with it while the device cannot be heard of.
type Policy struct {
	Exclusive  bool    `json:"exclusive,omitempty"`    // never run twice at the same time: a device that is cut off ends it before another begins
	AtMostOnce bool    `json:"at_most_once,omitempty"` // never run twice: once it may have begun, it is not begun again
	Backoff    float64 `json:"backoff,omitempty"`      // seconds before the first retry, twice as long before each one after that; 0: DefaultBackoff
	RetryOn    []int   `json:"retry_on,omitempty"`     // exit codes after which it is retried; none: all but 0
}

// Requirements is what a task asks of a device. The zero value fits every device.
type Requirements struct {
	CPUCores  int      `json:"min_cpu_cores,omitempty"`
	MemoryGB  float64  `json:"min_memory_gb,omitempty"`  // of 2^30 bytes
	StorageGB float64  `json:"min_storage_gb,omitempty"` // of 2^30 bytes
	Platform  string   `json:"platform,omitempty"`
	Role      string   `json:"role,omitempty"`
	Tags      []string `json:"tags,omitempty"`   // all of them
	Device    string   `json:"device,omitempty"` // this one and no other
	GPU       bool     `json:"gpu,omitempty"`
	Sandbox   int      `json:"min_sandbox,omitempty"` // level
	Provision bool     `json:"provision,omitempty"`   // it knows what Provision is; the main node sets it, and the next
	Secrets   bool     `json:"secrets,omitempty"`     // it knows what Secrets are
}

// Task is a task as the main node knows it.
type Task struct {
	ID   ID    `json:"task_id"`
	Job  JobID `json:"job_id"`
	Spec       // its fields stand among the task's own

	State     State      `json:"state"`
	Reason    string     `json:"reason,omitempty"` // why it ended, or went back to the queue
	Waiting   string     `json:"waiting,omitempty"`
	Device    string     `json:"device,omitempty"`             // of the newest attempt
	Contact   string     `json:"contact,omitempty"`            // lost: its device cannot be heard of, and goes on
	LeaseLeft *int64     `json:"lease_left_seconds,omitempty"` // with that: before the task goes to another
	Attempt   int        `json:"attempt,omitempty"`
	Failures  int        `json:"failures,omitempty"` // attempts that failed by the task's own doing
	Losses    int        `json:"losses,omitempty"`   // attempts that were lost with their device
	Progress  string     `json:"progress,omitempty"`
	Submitted time.Time  `json:"submitted"`
	Started   *time.Time `json:"started,omitempty"`
	Finished  *time.Time `json:"finished,omitempty"`
	Eligible  *time.Time `json:"eligible,omitempty"` // a retry waits until then
	ExitCode  *int       `json:"exit_code,omitempty"`
	Output    int64      `json:"output_bytes"` // of the newest attempt, kept by the main node
	Attempts  []Attempt  `json:"attempts,omitempty"`
}

// Attempt is one run of a task on a device.
type Attempt struct {
	Number   int        `json:"attempt"`
	Device   string     `json:"device"`
	Outcome  Outcome    `json:"status"`
	Reason   string     `json:"reason,omitempty"`
	Leased   time.Time  `json:"leased"`
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	ExitCode *int       `json:"exit_code,omitempty"`
	Wall     float64    `json:"execution_time"` // seconds, by the device's clock
	Metrics  Metrics    `json:"metrics"`
	Output   int64      `json:"output_bytes"`
	Files    []File     `json:"files,omitempty"` // that it has brought back
}

// Outcome is how an attempt stands or ended.
type Outcome string

// The outcomes of an attempt. The first two are open; what is not among Completed, Failed, TimedOut and Cancelled
// says nothing about the task.
const (
	AttemptLeased    Outcome = "assigned"
	AttemptRunning   Outcome = "running"
	AttemptCompleted Outcome = "completed"
	AttemptFailed    Outcome = "failed"
	AttemptTimedOut  Outcome = "timeout"
	AttemptCancelled Outcome = "cancelled"
	AttemptLost      Outcome = "lost"     // with its device
	AttemptReleased  Outcome = "released" // given back by its device
)

// Metrics is what an attempt used.
type Metrics struct {
	CPUTime    float64 `json:"cpu_time"`    // seconds
	MemoryPeak int64   `json:"memory_peak"` // bytes; 0: not known
}

// Result is the answer of an attempt.
type Result struct {
	Status   Outcome `json:"status"` // completed, failed, timeout, cancelled; or lost or released, where its device has ended it
	ExitCode *int    `json:"exit_code,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	Wall     float64 `json:"execution_time"` // seconds
	Metrics  Metrics `json:"metrics"`
	Files    []File  `json:"files,omitempty"` // brought back
}

// Lease is an attempt's right to report: the triple decides whose word counts.
type Lease struct {
	Task    ID     `json:"task_id"`
	Attempt int    `json:"attempt"`
	Token   string `json:"lease"`
}

// Stream tells where a piece of output was printed.
type Stream uint8

// The two streams of a process.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Chunk is a piece of what an attempt printed.
type Chunk struct {
	Position int64         // bytes that both streams printed before it
	Stream   Stream        // where
	After    time.Duration // since the attempt's start, by the device's clock
	Data     []byte
}

// End is where the next chunk begins.
func (c Chunk) End() int64 { return c.Position + int64(len(c.Data)) }
