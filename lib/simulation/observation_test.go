package simulation

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// observation is one thing that an onlooker saw. A history is a list of them, in order: data, so that one can be written by hand and broken.
type observation struct {
	at     time.Duration // since the history's beginning, by the onlooker's own clock
	what   what
	device string
	lease  task.Lease // its task alone, where what was seen is of a task

	key     string               // submitted
	state   task.State           // stands, read, ended
	outcome task.Outcome         // of the newest attempt: stands; of the program: spooled
	verdict wire.Verdict         // judged
	seq     int64                // happened; mainStarted: of the last event on disk
	text    string               // printed, kept
	since   time.Duration        // synced: when the main node said it
	counts  map[task.State]int64 // snapshot
	many    int                  // submittedMany
	mode    mode                 // stands
}

// mode is how a task may be run.
type mode struct{ exclusive, once bool }

// what says what kind of thing was seen.
type what string

const (
	// What clients are told.
	submitted what = "submitted" // a task was acknowledged, under a key
	cancelled what = "cancelled" // a cancel was acknowledged
	read      what = "read"      // a task was shown
	snapshot  what = "snapshot"  // the numbers of tasks were shown
	drained   what = "drained"   // that a device drains was acknowledged
	resumed   what = "resumed"   // and that it takes tasks again

	// What the main node does.
	mainStarted what = "main started"
	retried     what = "retried"  // a task that had ended waits again
	restored    what = "restored" // its disk was put back to what it was; seq: the last event on it
	mainDied    what = "main died"
	heard       what = "heard"    // it received a message of a device
	stands      what = "stands"   // a task on its disk, after a commit
	added       what = "added"    // so many tasks were committed by a submission
	assigned    what = "assigned" // an assignment left
	happened    what = "happened" // an event was committed
	ended       what = "ended"    // an event that says that a task has ended
	kept        what = "kept"     // the output of an attempt on its disk

	// What devices do.
	started  what = "started" // a program
	printed  what = "printed"
	stopped  what = "stopped"
	died     what = "died"      // a device's process, and with it its programs
	slept    what = "slept"     // all of a device stands still
	woke     what = "woke"      // and goes on
	spooled  what = "spooled"   // a result
	spoilt   what = "spoilt"    // a result that was in the spool went with the power
	forgot   what = "forgot"    // a result left the spool
	judged   what = "judged"    // a verdict arrived
	gaveBack what = "gave back" // an attempt, and the main node has heard of it
	synced   what = "synced"    // what the main node thinks of its attempts arrived
	vanished what = "vanished"  // it will never come back
	atRest   what = "at rest"   // nobody does anything any more, all has had its time
)
