package web

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// dialect is how a stream tells of events.
type dialect int

const (
	inLogs   dialect = iota // each as a line of the log
	inTasks                 // what moves tasks, as their states
	inAll                   // both, with names
	dialects                // how many there are
)

// frame is an event as the dialect has it; nil: it does not speak of such.
func (d dialect) frame(e *cluster.Event) []byte {
	switch d {
	case inTasks:
		return taskFrame(e)
	case inAll:
		return append(frameOf(e.Seq, "log", eventData(e)), taskFrame(e)...)
	}
	return frameOf(e.Seq, "", eventData(e))
}

// interest is which events a reader wants, and how to tell of them.
type interest struct {
	dialect
	match  *wire.EventMatch
	states []task.State // that tasks move to; none: all
}

func (i *interest) all() bool { return len(i.states) == 0 && i.match.All() }

func (i *interest) wants(e *cluster.Event) bool {
	if !i.match.Wants(e) {
		return false
	}
	if len(i.states) == 0 {
		return true
	}
	state, moves := stateAfter(e)
	return moves && slices.Contains(i.states, state)
}

// moving are the events that change the state of a task.
var moving = map[cluster.Kind]task.State{
	cluster.JobSubmitted: task.Queued,
	cluster.TaskStarted:  task.Running,
	cluster.TaskEnded:    0, // it says which
	cluster.TaskRequeued: task.Queued,
	cluster.TaskReturned: task.Queued,
	cluster.TaskRetried:  task.Queued,
}

func movingKinds() (kinds []cluster.Kind) {
	for k := range moving {
		kinds = append(kinds, k)
	}
	return kinds
}

// stateAfter is the state that the event moves its task, or the tasks of its job, to.
func stateAfter(e *cluster.Event) (state task.State, moves bool) {
	state, moves = moving[e.Kind]
	if e.Kind == cluster.TaskEnded {
		state = e.State
	}
	return state, moves
}

// moved is a change of a task's state; without a task it is that of a job's new tasks.
type moved struct {
	Seq      int64        `json:"seq"`
	Time     time.Time    `json:"timestamp"`
	Kind     cluster.Kind `json:"event"`
	Task     task.ID      `json:"task_id,omitzero"`
	Job      task.JobID   `json:"job_id,omitzero"`
	Count    int          `json:"count,omitempty"` // of a job's tasks
	State    task.State   `json:"state"`
	Device   string       `json:"device_id,omitempty"`
	Attempt  int          `json:"attempt,omitempty"`
	ExitCode *int         `json:"exit_code,omitempty"`
	Output   int64        `json:"output_bytes,omitempty"`
	Reason   string       `json:"reason,omitempty"`
}

// taskFrame is an event that moves tasks; nil of any other.
func taskFrame(e *cluster.Event) []byte {
	state, moves := stateAfter(e)
	if !moves {
		return nil
	}
	name := "task"
	if e.Task == 0 {
		name = "job"
	}
	b, err := json.Marshal(&moved{e.Seq, e.Time, e.Kind, e.Task, e.Job, e.Count, state, e.Device, e.Attempt, e.ExitCode, e.Output, e.Reason})
	if err != nil { // of plain fields
		return nil
	}
	return frameOf(e.Seq, name, b)
}

// eventData is an event in one line, with what a reader would have to make of it otherwise.
func eventData(e *cluster.Event) []byte {
	b, err := json.Marshal(struct {
		*cluster.Event
		Level cluster.Level `json:"level"`
		Text  string        `json:"text"`
	}{e, e.Level(), text.Sentence(e)})
	if err != nil { // of plain fields
		return []byte("{}")
	}
	return b
}
