package command

import (
	"context"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type statusTasks struct {
	State  []task.State `placeholder:"STATE" help:"Only in these: queued, assigned, running, completed, failed, cancelled, timeout."`
	Device string       `placeholder:"NAME" help:"Only on this device."`
	Job    string       `placeholder:"ID" help:"Only those submitted together."`
	Since  Since        `placeholder:"WHEN" help:"Only those submitted since: 1h ago, or RFC 3339."`
	Limit  int          `short:"n" placeholder:"N" help:"Only the newest; without it all."`
}

// Run prints tasks.
func (t *statusTasks) Run(ctx context.Context, s *Status, std cli.Std, env cli.Env) error {
	if t.Limit < 0 {
		return usage("--limit %d: not negative", t.Limit)
	}
	f := wire.TaskFilter{States: t.State, Device: t.Device}
	if t.Job != "" {
		jobs, err := parseJobs([]string{t.Job})
		if err != nil {
			return err
		}
		f.Job = jobs[0]
	}
	return s.show(ctx, std, env, func(ctx context.Context, c *client.Client, p *text.Printer) (err error) {
		f.Since, err = t.Since.Time(ctx, c)
		if err != nil {
			return err
		}
		if t.Limit > 0 {
			tasks, err := c.Newest(ctx, f, t.Limit)
			if err != nil {
				return err
			}
			return p.Tasks(tasks)
		}
		return p.TasksFrom(c.Tasks(ctx, wire.ListTasks{Filter: f}))
	})
}
