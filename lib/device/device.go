// Package device holds the nouns of the machines in a cluster: what a device is, what it can do, how it is.
// It is for everyone who reads or writes a cluster from Go; it does no I/O. Begin with Device.
package device

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Errors that a caller may test; they survive the way over the wire.
var (
	ErrNotFound = errors.New("no such device")
	ErrBadName  = errors.New("not a device name (letters, digits, '.', '_', '-'; at most 64, the first a letter or digit)")
)

// Status is what people are shown of a device.
type Status string

// The states of a device. Offline says that nothing was heard of it for a while, not that its tasks are lost:
// that is decided by the end of its lease.
const (
	Online   Status = "online"
	Offline  Status = "offline"
	Draining Status = "draining" // finishes what it has, gets nothing new
	Paused   Status = "paused"   // its owner's rules keep it from working now
	Pending  Status = "pending"  // has joined and is not approved yet
)

// Statuses lists every Status, in the order in which people are shown them.
var Statuses = []Status{Online, Draining, Paused, Pending, Offline}

// Device is one machine of the cluster as the main node knows it.
type Device struct {
	ID          string    `json:"device_id"`   // unique; for people
	Fingerprint string    `json:"fingerprint"` // of its key: the identity
	Status      Status    `json:"status"`
	Reason      string    `json:"reason,omitempty"` // why it is not online
	Profile     Profile   `json:"profile"`
	Metrics     Metrics   `json:"system_metrics"` // of the last heartbeat
	ActiveTasks int       `json:"active_tasks"`   // attempts that it holds
	Joined      time.Time `json:"joined"`
	LastSeen    time.Time `json:"last_heartbeat"` // last message received; zero: never
	Address     string    `json:"ip_address,omitempty"`
	Contact     string    `json:"contact,omitempty"`            // ContactLost: it holds tasks and cannot be heard of
	LeaseLeft   *int64    `json:"lease_left_seconds,omitempty"` // with ContactLost: for how long it keeps them
	Completed   int64     `json:"tasks_completed"`              // since it joined
	Failed      int64     `json:"tasks_failed"`                 // since it joined
	Untrusted   bool      `json:"untrusted,omitempty"`          // it has no key: anybody may have said what is known of it, and it is given no task
}

// ContactLost is said of a device that holds tasks and cannot be heard of, and of those tasks: it goes on with them, and they are given to
// others only when its lease is over.
const ContactLost = "lost"

// Profile is what a device says of itself when it registers. Sizes are in bytes.
type Profile struct {
	Info         Info              `json:"device_info"`
	Hardware     Hardware          `json:"hardware_specs"`
	Capabilities []string          `json:"capabilities"`         // computational, network_services, mobile_specific, storage, gpu
	Tags         []string          `json:"tags,omitempty"`       // given by its owner
	TaskTypes    []string          `json:"task_types,omitempty"` // what it can run; empty: it takes no tasks
	Slots        int               `json:"slots"`                // attempts that it runs at once
	Tools        []string          `json:"tools,omitempty"`      // programs found: gcc, ffmpeg, …
	Versions     map[string]string `json:"tool_versions,omitempty"`
	Version      string            `json:"version,omitempty"`       // of the worker
	Provision    bool              `json:"provision,omitempty"`     // it takes tasks with files and limits
	Secrets      bool              `json:"secrets,omitempty"`       // it takes tasks with secrets, and hides them in what those print
	Wake         bool              `json:"wake,omitempty"`          // its owner lets the main node wake it
	Sandbox      int               `json:"sandbox_level,omitempty"` // how far tasks are kept from the rest of it, 0 to 4: see retire-cluster(7)
	SandboxGaps  []string          `json:"sandbox_gaps,omitempty"`
}

// Info says what kind of system a device is.
type Info struct {
	Hostname     string `json:"hostname"`
	Platform     string `json:"platform"`     // linux, android, windows, darwin
	Architecture string `json:"architecture"` // as uname has it: x86_64, aarch64, armv7l, …
	Role         string `json:"role,omitempty"`
	OS           string `json:"os,omitempty"`     // "Debian GNU/Linux 12", "Android 13"
	Kernel       string `json:"kernel,omitempty"` // its version
	Model        string `json:"model,omitempty"`  // "Pixel 3a", "Raspberry Pi 4 Model B"
	Python       string `json:"python_version,omitempty"`
	Virtual      string `json:"virtual,omitempty"` // container, qemu, vmware, …; empty: a real machine
}

// Hardware holds a device's sizes. A zero is "not known".
type Hardware struct {
	CPUCores   int      `json:"cpu_cores"`
	CPUModel   string   `json:"cpu_model,omitempty"`
	CPUMHz     []int    `json:"cpu_max_mhz,omitempty"` // of each core, at the most
	CPUSpeed   float64  `json:"cpu_speed,omitempty"`   // as measured: millions of numbers that one core sorts in a second
	Memory     int64    `json:"memory_total"`
	Disk       int64    `json:"disk_space"`             // of the file system that its tasks work on
	DiskKind   string   `json:"disk_kind,omitempty"`    // flash, ssd, hdd
	Network    string   `json:"network_kind,omitempty"` // wire, wifi
	Interfaces []string `json:"network_interfaces"`
	GPU        string   `json:"gpu,omitempty"` // its name; empty: none found
	MACs       []string `json:"mac_addresses,omitempty"`
}

// Metrics is how a device is right now. A nil is "not known": no system tells everything.
type Metrics struct {
	CPU         *float64  `json:"cpu_usage,omitempty"`        // percent of all cores since the last reading
	Memory      *float64  `json:"memory_usage,omitempty"`     // percent
	Disk        *float64  `json:"disk_usage,omitempty"`       // percent
	MemoryFree  *int64    `json:"memory_available,omitempty"` // bytes
	DiskFree    *int64    `json:"disk_free,omitempty"`        // bytes
	DiskRead    *int64    `json:"disk_read,omitempty"`        // bytes since boot
	DiskWritten *int64    `json:"disk_written,omitempty"`     // bytes since boot
	Load        []float64 `json:"load_average,omitempty"`     // over 1, 5, 15 minutes
	Uptime      *int64    `json:"uptime,omitempty"`           // seconds
	Received    *int64    `json:"network_received,omitempty"` // bytes since boot
	Sent        *int64    `json:"network_sent,omitempty"`     // bytes since boot
	Temperature *float64  `json:"temperature_celsius,omitempty"`
	Battery     *float64  `json:"battery_percent,omitempty"`
	BatteryHeat *float64  `json:"battery_celsius,omitempty"`
	Charging    *bool     `json:"charging,omitempty"`
	Power       *float64  `json:"power_watts,omitempty"` // that the battery gives; what the mains give is not known
}

// Heartbeat is what a device says every minute.
type Heartbeat struct {
	Metrics      Metrics `json:"system_metrics"`
	Status       Status  `json:"status"`
	Reason       string  `json:"reason,omitempty"`
	ActiveTasks  int     `json:"active_tasks"`
	Slept        float64 `json:"slept,omitempty"`         // seconds for which it was suspended, since it was started
	LastActivity string  `json:"last_activity,omitempty"` // by the device's own clock: for people, never compared
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckName says whether s can name a device. The error is ErrBadName.
func CheckName(s string) error {
	if !name.MatchString(s) {
		return fmt.Errorf("%.70q: %w", s, ErrBadName)
	}
	return nil
}
