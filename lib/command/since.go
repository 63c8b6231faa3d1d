package command

import (
	"context"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
)

// Since is a moment as a flag: so long ago, or RFC 3339.
type Since struct {
	ago cli.Duration
	at  *time.Time // nil: that long ago
	set bool
}

// UnmarshalText reads "90m", "7d", "2026-01-15" or "2026-01-15T10:30:00Z".
func (s *Since) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, string(b)); err == nil {
			*s = Since{at: &at, set: true}
			return nil
		}
	}
	var ago cli.Duration
	if err := ago.UnmarshalText(b); err != nil {
		return fmt.Errorf("%.40q: as long ago as 90s, 15m, 12h, 7d, or a time as 2026-01-15T10:30:00Z", b)
	}
	*s = Since{ago: ago, set: true}
	return nil
}

// Time is the moment by the main node's clock, which stamped what is looked for and may differ from ours; nil: none is given.
func (s *Since) Time(ctx context.Context, c *client.Client) (*time.Time, error) {
	switch {
	case !s.set:
		return nil, nil
	case s.at != nil:
		return s.at, nil
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	now := status.Started.Add(time.Duration(status.Uptime) * time.Second)
	at := now.Add(-time.Duration(s.ago))
	return &at, nil
}
