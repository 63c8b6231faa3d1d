package text

import (
	"fmt"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

var events = &noun[cluster.Event]{
	name: "events",
	fields: []string{"seq", "timestamp", "level", "event", "device", "job", "task", "attempt", "state", "exit_code",
		"count", "output_bytes", "reason", "text"},
	record: eventRecord,
}

// Events prints a page of events: for people and in pipe text as the lines of a log.
func (p *Printer) Events(page []cluster.Event) error {
	if p.format != Text && p.format != Table || p.picked != nil {
		return printPage(p, events, page)
	}
	p.turnTo(events.name)
	for i := range page {
		p.line(p.style.logLine(&page[i]))
	}
	return p.write()
}

func (s Style) logLine(e *cluster.Event) string {
	when := "[" + e.Time.UTC().Format(time.DateTime) + "]"
	level := strings.ToUpper(string(e.Level()))
	return s.paint(when, dim) + " " + s.paint(level, levelColor(e.Level())) + ": " + Sentence(e)
}

func levelColor(l cluster.Level) color {
	switch l {
	case cluster.Debug:
		return dim
	case cluster.Warning:
		return yellow
	case cluster.Error:
		return red
	}
	return green
}

func eventRecord(e *cluster.Event) []field {
	job, id, state := "", "", ""
	if !e.Job.IsZero() {
		job = e.Job.String()
	}
	if !e.Task.IsZero() {
		id = e.Task.String()
	}
	if e.State != 0 {
		state = e.State.String()
	}
	return []field{integer(e.Seq), moment(e.Time), str(e.Level()), str(e.Kind), str(e.Device), str(job), str(id),
		integer(e.Attempt), str(state), known(e.ExitCode), integer(e.Count), integer(e.Output), str(e.Reason),
		str(Sentence(e))}
}

// Sentence says in one safe line what happened.
func Sentence(e *cluster.Event) string {
	s := happened(e)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return Sanitize(s)
}

func happened(e *cluster.Event) string {
	switch e.Kind {
	case cluster.JobSubmitted:
		return fmt.Sprintf("job %v submitted, %s", e.Job, count(e.Count, "task"))
	case cluster.TaskStarted, cluster.TaskEnded, cluster.TaskRequeued, cluster.TaskReturned, cluster.TaskRetried:
		return "task " + e.Task.String() + " " + taskDid(e)
	case cluster.DeviceJoined, cluster.DeviceOnline, cluster.DeviceOffline, cluster.DeviceDraining,
		cluster.DeviceResumed, cluster.DeviceWaking, cluster.DeviceRemoved, cluster.DeviceTwice, cluster.DevicePending, cluster.DeviceApproved, cluster.Suspicious:
		return "device " + e.Device + " " + deviceDid[e.Kind]
	case cluster.ResultOrphaned:
		return fmt.Sprintf("task %v, attempt %d is not known here", e.Task, e.Attempt) + on("; its result stays on ", e.Device)
	case cluster.StorageLow:
		return "main node is out of disk space"
	case cluster.StorageOK:
		return "main node has disk space again"
	case cluster.MainStarted:
		return "main node started"
	case cluster.MainStopping:
		return "main node is stopping"
	case cluster.MainRestored:
		return "main node restored"
	case cluster.BackupFailed:
		return "backup failed"
	case cluster.MainDamaged:
		return "database damaged"
	case cluster.TokenMade:
		return "token made"
	case cluster.TokenRevoked:
		return "token revoked"
	case cluster.LoggedIn:
		return "a browser's session began"
	case cluster.KeyRotated:
		return "main node has another key"
	case cluster.InviteMade:
		return "invitation made" + on(" for ", e.Device)
	}
	return unheardOf(e)
}

var deviceDid = map[cluster.Kind]string{
	cluster.DeviceJoined:   "joined the cluster",
	cluster.DeviceOnline:   "is online",
	cluster.DeviceOffline:  "is offline",
	cluster.DeviceDraining: "is draining",
	cluster.DeviceResumed:  "takes tasks again",
	cluster.DeviceWaking:   "is being woken",
	cluster.DeviceRemoved:  "was removed",
	cluster.DeviceTwice:    "is two machines",
	cluster.DevicePending:  "waits to be approved",
	cluster.DeviceApproved: "was approved",
	cluster.Suspicious:     "is not to be trusted",
}

func taskDid(e *cluster.Event) string {
	switch e.Kind {
	case cluster.TaskStarted:
		return "started" + on(" on ", e.Device) + again(e.Attempt)
	case cluster.TaskRequeued:
		return fmt.Sprintf("went back to the queue after attempt %d%s", e.Attempt, on(" on ", e.Device)) + exit(e)
	case cluster.TaskReturned:
		return "went back to the queue before it began" + on(" on ", e.Device)
	case cluster.TaskRetried:
		return "was put back into the queue by hand"
	}
	did := e.State.String()
	switch e.State {
	case task.TimedOut:
		did = "timed out"
	case task.Cancelled:
		did = "was cancelled"
	}
	return did + on(" on ", e.Device) + again(e.Attempt) + exit(e)
}

// unheardOf is for the kinds of a newer main node.
func unheardOf(e *cluster.Event) string {
	s := strings.ReplaceAll(string(e.Kind), "_", " ")
	if !e.Task.IsZero() {
		s += " task " + e.Task.String()
	}
	return s + on(" device ", e.Device)
}

func on(before, device string) string {
	if device == "" {
		return ""
	}
	return before + device
}

func again(attempt int) string {
	if attempt < 2 {
		return ""
	}
	return fmt.Sprintf(" (attempt %d)", attempt)
}

func exit(e *cluster.Event) string {
	if e.ExitCode == nil {
		return ""
	}
	return fmt.Sprintf(", exit code %d", *e.ExitCode)
}

func count[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
