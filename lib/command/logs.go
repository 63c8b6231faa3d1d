package command

import (
	"context"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Logs is rc-logs.
type Logs struct {
	IDs        []string      `arg:"" optional:"" name:"id" help:"Tasks whose output to print, when they have ended; without any, the cluster's log."`
	Job        string        `placeholder:"ID" help:"The outputs of all tasks of a job."`
	Follow     bool          `short:"f" help:"Outputs: as they are printed. Log: go on with what will come."`
	NoWait     bool          `help:"Outputs: what there is now, of tasks that have not ended too."`
	Get        bool          `help:"Fetch the files that a task has brought back, into the directory named after it, or this one."`
	Raw        bool          `help:"Outputs: the bytes as they are on a terminal too, which they can then command."`
	Timestamps bool          `short:"t" help:"Outputs: begin lines with their time."`
	Attempt    int           `placeholder:"N" help:"Outputs: of this attempt, not the newest."`
	Last       *int          `name:"lines" short:"n" placeholder:"N" help:"Log: begin with the newest lines; without it with all."`
	Since      Since         `placeholder:"WHEN" help:"Log: since 1h ago, or RFC 3339."`
	Audit      bool          `help:"The audit log: who did what, one JSON object a line, each with a hash of all before it."`
	Level      cluster.Level `default:"debug" enum:"debug,info,warning,error" help:"Log: lines of this level or louder."`
	Device     string        `placeholder:"NAME" help:"Log: of this device."`
	Output
	Cluster

	progress *progress
}

// Help is the end of rc-logs --help.
func (*Logs) Help() string {
	return `Examples:
  rc-logs t7k3f9q2m
  rc-logs -f --level warning
  rc-logs --get t7k3f9q2m results
  rc-submit --each -- ./build {} < list | xargs rc-logs`
}

// Run prints outputs, or the log.
func (l *Logs) Run(ctx context.Context, std cli.Std, env cli.Env) error {
	if err := l.check(); err != nil {
		return err
	}
	c, err := l.open("rc-logs", env, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	l.progress = newProgress(std, l.Raw)
	switch {
	case l.Get:
		if err := l.fileOf("--get"); err != nil {
			return err
		}
		return l.getFiles(ctx, std, c)
	case l.Audit:
		return l.printAudit(ctx, std, c)
	}
	ids := l.IDs
	if l.Job != "" {
		if ids, err = l.ofJob(ctx, c); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		return l.printOutputs(ctx, std, c, ids)
	}
	return l.printEvents(ctx, std, env, c)
}

func (l *Logs) check() error {
	ofTasks := len(l.IDs) > 0 || l.Job != ""
	switch {
	case l.Audit && (ofTasks || l.Get || l.NoWait || l.Raw || l.Timestamps || l.Attempt != 0 || l.Device != "" || l.Since.set || l.Format != "" || l.Level != cluster.Debug):
		return usage("--audit prints the audit log as it is: of the other options only --follow and --lines go with it")
	case l.Get:
		return l.checkGet()
	case len(l.IDs) > 0 && l.Job != "":
		return usage("give ids or --job, not both")
	case ofTasks && (l.Last != nil || l.Device != "" || l.Since.set || l.Format != ""):
		return usage("--lines, --since, --device and --output are for the log, not for outputs of tasks")
	case !ofTasks && (l.Timestamps || l.Attempt != 0 || l.NoWait || l.Raw):
		return usage("--timestamps, --attempt, --no-wait and --raw are for the outputs of tasks: name them")
	case l.Follow && l.NoWait:
		return usage("--follow waits for what will come, --no-wait does not: give one of them")
	case l.Last != nil && *l.Last < 0 || l.Attempt < 0:
		return usage("--lines and --attempt are not negative")
	}
	if _, err := parseJobs(nonEmpty(l.Job)); err != nil {
		return err
	}
	return checkIDs(l.IDs)
}

func (l *Logs) checkGet() error {
	switch {
	case len(l.IDs) < 1 || len(l.IDs) > 2 || l.Job != "":
		return usage("--get: name a task, and a directory for its files if it is not this one")
	case l.Follow || l.NoWait || l.Raw || l.Timestamps || l.Last != nil || l.Device != "" || l.Since.set || l.Format != "" || l.Attempt < 0:
		return usage("--get fetches files: of the other options only --attempt goes with it")
	}
	return checkIDs(l.IDs[:1])
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// ofJob lists the ids of the tasks of a job.
func (l *Logs) ofJob(ctx context.Context, c *client.Client) (ids []string, err error) {
	jobs, err := parseJobs([]string{l.Job})
	if err != nil {
		return nil, err
	}
	for t, err := range c.Tasks(ctx, wire.ListTasks{Filter: wire.TaskFilter{Job: jobs[0]}}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, t.ID.String())
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s: no such job", l.Job)
	}
	return ids, nil
}
