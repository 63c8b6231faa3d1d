package task

import (
	"fmt"
	"slices"
	"strings"
)

// State is where a task stands.
type State uint8

// The states of a task. The numbers stand in the database: do not reorder.
const (
	Queued State = iota + 1
	Assigned
	Running
	Completed
	Failed
	Cancelled
	TimedOut
)

var stateNames = [...]string{Queued: "queued", Assigned: "assigned", Running: "running", Completed: "completed",
	Failed: "failed", Cancelled: "cancelled", TimedOut: "timeout"}

// moves is the one table of legal moves. A result may find its task in any open state: one that comes late, after
// the lease ended and before another attempt was made, still counts.
var moves = map[State][]State{
	Queued:    {Assigned, Running, Completed, Failed, Cancelled, TimedOut},
	Assigned:  {Running, Queued, Completed, Failed, Cancelled, TimedOut},
	Running:   {Queued, Completed, Failed, Cancelled, TimedOut},
	Failed:    {Queued}, // by hand: rc-ctl retry
	Cancelled: {Queued}, // by hand
	TimedOut:  {Queued}, // by hand
}

// May says whether a task may move from s to next.
func (s State) May(next State) bool { return slices.Contains(moves[s], next) }

// Ended says whether a task in this state is over.
func (s State) Ended() bool { return s >= Completed }

// States lists every state in the order of a task's life.
func States() []State {
	return []State{Queued, Assigned, Running, Completed, Failed, Cancelled, TimedOut}
}

func (s State) String() string {
	if s < Queued || int(s) >= len(stateNames) {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return stateNames[s]
}

// ParseState reads what String wrote.
func ParseState(text string) (State, error) {
	for _, s := range States() {
		if s.String() == text {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown state %.40q: one of queued, assigned, running, completed, failed, cancelled, timeout", text)
}

// MarshalText writes the name that the wire uses.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name that the wire uses.
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = ParseState(string(b))
	return err
}

// State is the state of a task whose last attempt ended so; ok is false where the outcome does not end a task.
func (o Outcome) State() (s State, ok bool) {
	switch o {
	case AttemptCompleted:
		return Completed, true
	case AttemptFailed:
		return Failed, true
	case AttemptTimedOut:
		return TimedOut, true
	case AttemptCancelled:
		return Cancelled, true
	}
	return 0, false
}

// Open says whether the attempt may still report.
func (o Outcome) Open() bool { return o == AttemptLeased || o == AttemptRunning }

// Priority orders the queue. The zero value is Normal.
type Priority int8

// The four priorities.
const (
	Low Priority = iota - 1
	Normal
	High
	Urgent
)

var priorityNames = []string{"low", "normal", "high", "urgent"}

// Priorities lists every priority from the most urgent down.
func Priorities() []Priority { return []Priority{Urgent, High, Normal, Low} }

func (p Priority) String() string {
	if p < Low || p > Urgent {
		return fmt.Sprintf("priority(%d)", int8(p))
	}
	return priorityNames[p-Low]
}

// ParsePriority reads what String wrote.
func ParsePriority(text string) (Priority, error) {
	if i := slices.Index(priorityNames, text); i >= 0 {
		return Low + Priority(i), nil
	}
	return 0, fmt.Errorf("unknown priority %.40q: one of %s", text, strings.Join(priorityNames, ", "))
}

// MarshalText writes the name that the wire uses.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name that the wire uses; nothing means normal.
func (p *Priority) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*p = Normal
		return nil
	}
	*p, err = ParsePriority(string(b))
	return err
}

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// MarshalText writes stdout or stderr.
func (s Stream) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads stdout or stderr.
func (s *Stream) UnmarshalText(b []byte) error {
	switch string(b) {
	case "stdout":
		*s = Stdout
	case "stderr":
		*s = Stderr
	default:
		return fmt.Errorf("unknown stream %.20q: stdout or stderr", b)
	}
	return nil
}
