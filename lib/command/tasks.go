package command

import (
	"context"
	"slices"

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
		f.Since, err = t.Since.time(ctx, c)
		if err != nil {
			return err
		}
		if t.Limit > 0 {
			return printNewest(ctx, c, p, f, t.Limit)
		}
		return printAll(ctx, c, p, f)
	})
}

// atOnce is how many tasks are printed together.
const atOnce = 100

// printAll prints tasks as they come.
func printAll(ctx context.Context, c *client.Client, p *text.Printer, f wire.TaskFilter) error {
	page := make([]task.Task, 0, atOnce)
	for t, err := range c.Tasks(ctx, f, false, 0) {
		if err != nil {
			return err
		}
		if page = append(page, t); len(page) == atOnce {
			if err := p.Tasks(page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return p.Tasks(page)
}

// printNewest prints the newest tasks, the newest of all last.
func printNewest(ctx context.Context, c *client.Client, p *text.Printer, f wire.TaskFilter, limit int) error {
	var tasks []task.Task
	for t, err := range c.Tasks(ctx, f, true, limit) {
		if err != nil {
			return err
		}
		tasks = append(tasks, t)
	}
	slices.Reverse(tasks)
	return p.Tasks(tasks)
}
