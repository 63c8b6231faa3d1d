package mainnode

import (
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What the simulation asks of a core, beside Cancel and Retry, as a session asks it.

// Status is the overview.
func (c *Core) Status() cluster.Status { return c.status() }

// Drain lets a device take nothing new; Undrain ends that.
func (c *Core) Drain(device string) error {
	return c.actOnDevice(&deviceAction{verb: wire.TypeDrain, name: device})
}
func (c *Core) Undrain(device string) error {
	return c.actOnDevice(&deviceAction{verb: wire.TypeUndrain, name: device})
}
