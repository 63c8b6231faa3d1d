// Package cluster holds the nouns of the cluster as a whole: what happened in it, and how it stands.
// It is for everyone who reads a cluster from Go; it does no I/O. Begin with Event.
package cluster

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Status is how the cluster stands, in one look. Sizes are in bytes.
type Status struct {
	Health         Health                `json:"health"`
	MainNode       string                `json:"main_node"`
	Version        string                `json:"version"`
	Started        time.Time             `json:"started"`
	Uptime         int64                 `json:"uptime"` // seconds
	Devices        map[device.Status]int `json:"devices"`
	DevicesTotal   int                   `json:"devices_total"`
	DevicesOnline  int                   `json:"devices_online"` // online, draining or paused
	Cores          int                   `json:"cpu_cores"`      // of the devices online
	CPU            float64               `json:"cpu_usage"`      // percent, over those cores
	Memory         int64                 `json:"memory_total"`   // of the devices online
	MemoryUsed     float64               `json:"memory_usage"`   // percent
	Slots          int                   `json:"slots"`          // of the devices online
	SlotsBusy      int                   `json:"slots_busy"`
	Tasks          map[string]int64      `json:"tasks"` // by state; of the tasks that are kept
	TasksActive    int64                 `json:"tasks_active"`
	TasksQueued    int64                 `json:"tasks_queued"`
	CompletedToday int64                 `json:"tasks_completed_today"` // since midnight, by the main node's clock
	LastEvent      int64                 `json:"last_event"`
	Storage        string                `json:"storage,omitempty"` // what a full disk of the main node means now; empty: it is not full
}

// Health is the cluster's state in one word.
type Health string

// The healths: at least half of the devices are there, fewer are, none is, or none ever joined.
const (
	Healthy  Health = "healthy"
	Degraded Health = "degraded"
	Down     Health = "down"
	Empty    Health = "empty"
)

// HealthOf judges by the number of devices that are there, of all that have joined.
func HealthOf(online, total int) Health {
	switch {
	case total == 0:
		return Empty
	case online == 0:
		return Down
	case 2*online < total:
		return Degraded
	}
	return Healthy
}

// Kind says what happened.
type Kind string

// What can happen. A word here is a word on the wire and in scripts: it is not changed.
const (
	JobSubmitted   Kind = "job_submitted"  // Count tasks in Job
	TaskStarted    Kind = "task_started"   // Attempt runs on Device
	TaskEnded      Kind = "task_ended"     // in State
	TaskRequeued   Kind = "task_requeued"  // Attempt ended without ending the task, for Reason
	TaskReturned   Kind = "task_returned"  // Device gave Attempt back before it began, for Reason
	TaskRetried    Kind = "task_retried"   // by hand
	DeviceJoined   Kind = "device_joined"  // enrolled
	DevicePending  Kind = "device_pending" // and waits to be approved
	DeviceApproved Kind = "device_approved"
	DeviceOnline   Kind = "device_online"  // heard of again
	DeviceOffline  Kind = "device_offline" // not heard of for a while
	DeviceDraining Kind = "device_draining"
	DeviceResumed  Kind = "device_resumed" // takes tasks again
	DeviceWaking   Kind = "device_waking"  // it sleeps, and is being woken
	DeviceRemoved  Kind = "device_removed"
	DeviceTwice    Kind = "device_twice"    // two machines use its key
	ResultOrphaned Kind = "result_orphaned" // Device has the result of an Attempt that the main node does not know
	StorageLow     Kind = "storage_low"     // the main node's disk is full
	StorageOK      Kind = "storage_ok"      // it has space again
	MainStarted    Kind = "main_started"
	MainStopping   Kind = "main_stopping"
	MainRestored   Kind = "main_restored" // from a backup: what came after that is not known
	BackupFailed   Kind = "backup_failed" // for Reason
	MainDamaged    Kind = "main_damaged"  // the database is, as Reason says
	TokenMade      Kind = "token_made"
	TokenRevoked   Kind = "token_revoked"
	InviteMade     Kind = "invite_made"
	LoggedIn       Kind = "logged_in"   // a browser
	KeyRotated     Kind = "key_rotated" // the main node has another key
	Suspicious     Kind = "suspicious"  // Device said what an honest one does not, for Reason
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		JobSubmitted, TaskStarted, TaskEnded, TaskRequeued, TaskReturned, TaskRetried, DeviceJoined, DevicePending, DeviceApproved, DeviceOnline,
		DeviceOffline, DeviceDraining, DeviceResumed, DeviceWaking, DeviceRemoved, DeviceTwice, ResultOrphaned, StorageLow, StorageOK, MainStarted,
		MainStopping, MainRestored, BackupFailed, MainDamaged, TokenMade, TokenRevoked, InviteMade, LoggedIn, KeyRotated, Suspicious,
	}
}

// Level is how loud an event is in a log.
type Level string

// The levels, quietest first.
const (
	Debug   Level = "debug"
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// Levels lists every level, quietest first.
func Levels() []Level { return []Level{Debug, Info, Warning, Error} }

// Event is something that happened. Its number is one more than that of the event before it.
type Event struct {
	Seq      int64      `json:"seq"`
	Time     time.Time  `json:"timestamp"` // by the main node's clock
	Kind     Kind       `json:"event"`
	Device   string     `json:"device_id,omitempty"`
	Job      task.JobID `json:"job_id,omitempty"`
	Task     task.ID    `json:"task_id,omitempty"`
	Attempt  int        `json:"attempt,omitempty"`
	State    task.State `json:"state,omitempty"` // of a task that ended
	ExitCode *int       `json:"exit_code,omitempty"`
	Count    int        `json:"count,omitempty"`
	Output   int64      `json:"output_bytes,omitempty"` // that the main node keeps of an attempt that ended
	Reason   string     `json:"reason,omitempty"`
}

// Level is how loud the event is.
func (e *Event) Level() Level {
	switch e.Kind {
	case TaskStarted, TaskReturned:
		return Debug
	case TaskRequeued, DeviceOffline, DevicePending, ResultOrphaned, MainRestored, BackupFailed:
		return Warning
	case DeviceTwice, Suspicious, StorageLow, MainDamaged:
		return Error
	case TaskEnded:
		if e.State == task.Failed || e.State == task.TimedOut {
			return Warning
		}
	}
	return Info
}

// AtLeast says whether the event is as loud as min or louder.
func (e *Event) AtLeast(min Level) bool { return rank(e.Level()) >= rank(min) }

func rank(l Level) int {
	for i, known := range Levels() {
		if l == known {
			return i
		}
	}
	return 0
}
