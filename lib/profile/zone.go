package profile

import (
	"context"
	"time"
)

// Zone is where the device's clock on the wall is. Go takes every Android for Greenwich.
func Zone(ctx context.Context, o Options) *time.Location {
	m := newMachine(o.Roots)
	if name := m.prop(ctx, "persist.sys.timezone"); name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return time.Local
}
