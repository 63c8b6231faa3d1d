package mainnode

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What the simulation asks of a core, beside Cancel and Retry, as a session asks it.

// Status is the overview.
func (c *Core) Status() cluster.Status { return c.status() }

// Drain lets a device take nothing new, and give back after a while what it has; 0: it has all the time. Undrain ends that.
func (c *Core) Drain(device string, within time.Duration) error {
	return c.actOnDevice(&deviceAction{verb: wire.TypeDrain, name: device, within: within})
}

func (c *Core) Undrain(device string) error {
	return c.actOnDevice(&deviceAction{verb: wire.TypeUndrain, name: device})
}
