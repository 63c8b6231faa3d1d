package worker

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// An Effect is one of these: what the core wants done, in this order.
type (
	Effect any

	SendMessage struct {
		wire.Message
		Output int64 // bytes of output in it, of which Written tells when the connection has taken them
	}
	SendHeartbeat struct{ wire.Heartbeat } // to which the loop adds how the device is
	StartAttempt  struct {
		Lease task.Lease
		Spec  task.Spec
		Until time.Time // of an exclusive attempt: as in Fence; zero: it has no end
		Grace time.Duration

		Lined   bool      // it may wait behind those that are over in a moment
		BeginBy time.Time // then
	}
	Fence struct { // of an exclusive attempt: then it has to be over
		Lease task.Lease
		Until time.Time
		Grace time.Duration // to end by itself, from then on
	}
	KillAttempt struct {
		Lease  task.Lease
		Reason string
	}
	SpoolResult struct{ Spooled } // before it is sent
	SpoolJudged struct{ Lease task.Lease }
	ParkResult  struct{ Spooled } // that the main node does not know, and its owner may want
	HaltAll     struct{ On bool } // what runs stands still, or goes on
	Quit        struct{}
)

// An Input is one of these: what happened.
type (
	Input any

	Welcomed struct {
		wire.Welcome
		Asked time.Time // when hello was sent
	}
	Disconnected struct{}
	Received     struct{ wire.Message }
	Printed      struct {
		Lease  task.Lease
		Stream task.Stream
		After  time.Duration // since the attempt's start
		Data   []byte        // not to be changed afterwards
	}
	Progressed struct {
		Lease task.Lease
		Text  string // how far it has come, in its own words
	}
	Begun   struct{ Lease task.Lease } // of what was lined up: it runs on
	Unbegun struct{ Lease task.Lease } // its turn did not come
	Ended   struct {
		Lease  task.Lease
		Result task.Result
	}
	Written struct{ Bytes int64 } // of output that the connection has taken
	Drain   struct{}              // finish what runs
	Stop    struct{}              // end what runs
	Pressed struct {
		Reason string // why the device can take nothing now; empty: it can
		Halt   bool   // and what runs is to stand still
	}
	Timer struct{} // look at the time
)

// Spooled is an attempt that has ended and was not judged yet.
type Spooled struct {
	Lease  task.Lease
	Result task.Result
	Chunks []task.Chunk // all that it printed, without gaps
	Synced bool         // it must survive a power cut: it cannot be run again
}
