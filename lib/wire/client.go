package wire

import (
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

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
	Task    string `json:"task_id"`
	FilesOf int    `json:"files_of,omitempty"` // attempt whose files are told; 0: the newest
}

// TaskShown answers ShowTask.
type TaskShown struct {
	Task task.Task `json:"task"`
}

// ListDevices asks for devices, by name, after one.
type ListDevices struct {
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"` // at most MaxDevices, which is also what 0 means
}

// MaxDevices is how many devices come in one answer.
const MaxDevices = 500

// DeviceList answers ListDevices.
type DeviceList struct {
	Devices []device.Device `json:"devices"`
	Next    string          `json:"next,omitempty"` // to ask for those after it; empty: there are none
}

// NameDevice names a device, by its name or the beginning of it.
type NameDevice struct {
	Device string  `json:"device_id"`
	Within float64 `json:"within,omitempty"` // with drain: seconds, after which it gives back what still runs; 0: it has all the time
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

// EventMatch is an EventFilter with its lists made ready to be searched.
type EventMatch struct {
	f     *EventFilter
	jobs  map[task.JobID]bool
	tasks map[task.ID]bool
}

// NewEventMatch makes one of a filter, which must not change.
func NewEventMatch(f *EventFilter) *EventMatch {
	m := &EventMatch{f, map[task.JobID]bool{}, map[task.ID]bool{}}
	for _, j := range f.Jobs {
		m.jobs[j] = true
	}
	for _, t := range f.Tasks {
		m.tasks[t] = true
	}
	return m
}

// All says whether it wants every event.
func (m *EventMatch) All() bool {
	f := m.f
	return len(m.jobs)+len(m.tasks)+len(f.Kinds) == 0 && f.Device == "" && f.Level == "" && f.Since == nil
}

// Wants says whether it wants the event.
func (m *EventMatch) Wants(e *cluster.Event) bool {
	f := m.f
	return (len(m.jobs) == 0 || m.jobs[e.Job]) && (len(m.tasks) == 0 || m.tasks[e.Task]) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) && (f.Device == "" || f.Device == e.Device) &&
		(f.Level == "" || e.AtLeast(f.Level)) && (f.Since == nil || !e.Time.Before(*f.Since))
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
	Progress bool   `json:"progress,omitempty"` // and how far it has come, in its own words
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
	Uses      int      `json:"uses,omitempty"`    // devices that it is good for; 0: one
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
	cluster.Grant
}

// MakeLogin asks for a code with which a browser logs in, once, and then speaks for who asked.
type MakeLogin struct {
	Role Role   `json:"role,omitempty"` // no more than that of who asks; empty: the same
	Name string `json:"name,omitempty"`
}

// LoginMade answers MakeLogin.
type LoginMade struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// LoggedIn answers login, which is asked with the code in the place of a token: the code is used up, and this is the session's token.
type LoggedIn struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Role    Role      `json:"role"`
	Expires time.Time `json:"expires"`
}

// RotateKey asks for another key of the main node. The one until now is good beside it for a while.
type RotateKey struct {
	Within int64 `json:"within"`          // seconds
	Force  bool  `json:"force,omitempty"` // also while the key before this one is still good
}

// KeyRotated answers RotateKey.
type KeyRotated struct {
	Fingerprint string    `json:"fingerprint"`
	Until       time.Time `json:"until"` // the former one is good
}

// Pin tells a worker, on a connection with the main node that it has pinned, what to pin from now on.
type Pin struct {
	Fingerprint string `json:"fingerprint"`
}

// FollowAudit asks for the lines of the audit log after a number.
type FollowAudit struct {
	After  int64 `json:"after"`
	Last   int   `json:"last,omitempty"` // without After: begin with this many of the newest
	Follow bool  `json:"follow"`
}

// Audited is a line of the audit log: a JSON object as it was written, without its hash.
type Audited struct {
	Seq  int64  `json:"seq"`
	Line string `json:"line"`
	Hash string `json:"hash"`
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
	Kind    string     `json:"kind,omitempty"`   // login, session; empty: a token that somebody keeps
	Parent  string     `json:"parent,omitempty"` // of a login or a session: the token that it speaks for
	Used    *time.Time `json:"used,omitempty"`   // of a session: about when it was used last
	cluster.Grant
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
	BackedUp       int64            `json:"backed_up,omitempty"` // seconds since 1970, of the last backup that was made or found to hold everything still
	BackupFailures int64            `json:"backup_failures"`
	Submitted      int64            `json:"tasks_submitted"`
	Assigned       int64            `json:"attempts_assigned"`
	Ended          map[string]int64 `json:"tasks_ended"` // by state
	Requeued       int64            `json:"attempts_requeued"`
	Lost           int64            `json:"attempts_lost"`
	Stale          int64            `json:"results_stale"`
	Orphans        int64            `json:"results_orphaned"`
	RunSeconds     float64          `json:"run_seconds"`  // of attempts that ended
	WaitSeconds    float64          `json:"wait_seconds"` // from submission to first start
	QueueByClass   int              `json:"queue_classes"`
	QueueByPrio    map[string]int   `json:"queue_by_priority"`
	MemoryBytes    int64            `json:"memory_bytes"` // held from the system
	GoroutineCount int              `json:"goroutines"`
	OutputBytes    int64            `json:"output_bytes"` // of tasks, that are kept

	Runs        map[string]Histogram `json:"run_times"`    // seconds, of attempts that ended, by task type
	Waits       map[string]Histogram `json:"wait_times"`   // seconds, from submission to first start, by task type
	CommitTimes Histogram            `json:"commit_times"` // seconds
	BatchInputs Histogram            `json:"batch_inputs"` // messages that were committed together
	Settings    *Settings            `json:"settings,omitempty"`
}

// Histogram counts things by their size.
type Histogram struct {
	Bounds []float64 `json:"bounds"` // the highest of each bucket; the last bucket has none
	Counts []int64   `json:"counts"` // in each bucket
	Sum    float64   `json:"sum"`
}

// Settings is how a main node is set up, as far as who may read may know it. Times are in seconds.
type Settings struct {
	Protocol     Range   `json:"protocol"`
	Heartbeat    float64 `json:"heartbeat"`
	OfflineAfter float64 `json:"offline_after"`
	Lease        float64 `json:"lease"`
	Ageing       float64 `json:"ageing"`
	QueueLimit   int     `json:"queue_limit"`
	FilesLimit   int64   `json:"files_limit"` // bytes; 0: any
	Approve      bool    `json:"approve"`
	Plain        bool    `json:"plain"` // clients of the first Retire-Cluster are answered somewhere
	KeepTasksFor float64 `json:"keep_tasks_for"`
	KeepTasks    int64   `json:"keep_tasks"`
	KeepOutput   int64   `json:"keep_output"` // bytes
	KeepEvents   int64   `json:"keep_events"`
	BackupEvery  float64 `json:"backup_every"` // 0: never
}
