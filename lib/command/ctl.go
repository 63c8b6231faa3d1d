package command

import (
	"context"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Ctl is rc-ctl.
type Ctl struct {
	Cancel  ctlCancel  `cmd:"" help:"End tasks."`
	Retry   ctlRetry   `cmd:"" help:"Put tasks that failed, timed out or were cancelled back into the queue."`
	Drain   ctlDrain   `cmd:"" help:"Let a device finish what it has and give it nothing new."`
	Undrain ctlUndrain `cmd:"" help:"Let a device take tasks again."`
	Wake    ctlWake    `cmd:"" help:"Wake a device that sleeps."`
	Approve ctlApprove `cmd:"" help:"Let a device in that has joined and waits for that."`
	Remove  ctlRemove  `cmd:"" aliases:"revoke" help:"Take a device out of the cluster, and never let its key in again."`
	Invite  ctlInvite  `cmd:"" help:"Make a join code for a new device."`
	Token   ctlToken   `cmd:"" help:"Tokens, with which commands elsewhere use this cluster."`
	Rotate  ctlRotate  `cmd:"" name:"rotate-key" help:"Give the main node another key."`
	Ping    ctlPing    `cmd:"" help:"Ask whether the main node is well."`
	Cluster
}

// with calls do with a client.
func (ctl *Ctl) with(env cli.Env, do func(*client.Client) error) error {
	c, err := ctl.open("rc-ctl", env, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// selection is the flags that say which tasks.
type selection struct {
	IDs    []string     `arg:"" optional:"" name:"id" help:"Ids of tasks or beginnings of them."`
	Job    []string     `placeholder:"ID" help:"All tasks of a job."`
	State  []task.State `placeholder:"STATE" help:"Only those in this state: queued, assigned, running, completed, failed, cancelled, timeout."`
	Device string       `placeholder:"NAME" help:"Only those on this device."`
}

// selected is the selection as the wire has it. To select all by forgetting to say which is refused.
func (s *selection) selected() (wire.Select, error) {
	if len(s.IDs)+len(s.Job)+len(s.State) == 0 && s.Device == "" {
		return wire.Select{}, usage("say which tasks: ids, --job, --state or --device")
	}
	if err := checkIDs(s.IDs); err != nil {
		return wire.Select{}, err
	}
	jobs, err := parseJobs(s.Job)
	return wire.Select{Tasks: s.IDs, Jobs: jobs, States: s.State, Device: s.Device}, err
}

// act does something with the selected tasks and tells a person with how many. None of those that were named is a failure.
func (s *selection) act(std cli.Std, did string, do func(wire.Select) (int, error)) error {
	selected, err := s.selected()
	if err != nil {
		return err
	}
	n, err := do(selected)
	if err != nil {
		return err
	}
	if n == 0 && len(s.IDs) > 0 {
		return fmt.Errorf("nothing %s: not possible in the state of the %s", did, count(len(s.IDs), "task"))
	}
	if std.ErrTerminal() {
		fmt.Fprintf(std.Err, "%s %s\n", count(n, "task"), did)
	}
	return nil
}

type ctlCancel struct{ selection }

// Run cancels tasks.
func (x *ctlCancel) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	return x.act(std, "cancelled", func(s wire.Select) (n int, err error) {
		err = ctl.with(env, func(c *client.Client) error {
			n, err = c.Cancel(ctx, s)
			return err
		})
		return n, err
	})
}

type ctlRetry struct{ selection }

// Run retries tasks.
func (x *ctlRetry) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	return x.act(std, "queued again", func(s wire.Select) (n int, err error) {
		err = ctl.with(env, func(c *client.Client) error {
			n, err = c.Retry(ctx, s)
			return err
		})
		return n, err
	})
}

// named is the argument of what is done to a device.
type named struct {
	Device string `arg:"" help:"Its name."`
}

type ctlDrain struct {
	named
	Within cli.Duration `default:"0s" help:"Give what it has not finished by then to others; 0 never."`
}

// Run drains a device.
func (x *ctlDrain) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.Drain(ctx, x.Device, time.Duration(x.Within)) })
}

type ctlApprove struct{ named }

// Run approves a device.
func (x *ctlApprove) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.Approve(ctx, x.Device) })
}

type ctlRotate struct {
	Within cli.Duration `default:"14d" help:"How long the former key is good beside it: devices learn the new one when they connect."`
	Force  bool         `help:"Also while the key before this one is still good: devices that know only that one need a new join code then."`
}

// Run gives the main node another key, and prints its fingerprint.
func (x *ctlRotate) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	if x.Within < cli.Duration(time.Second) {
		return usage("--within %s: a second at the least", x.Within)
	}
	return ctl.with(env, func(c *client.Client) error {
		done, err := c.RotateKey(ctx, time.Duration(x.Within), x.Force)
		if err != nil {
			return err
		}
		if std.ErrTerminal() {
			fmt.Fprintf(std.Err, "--pin of commands elsewhere is this from now on; the former one is good until %s\n", done.Until.Local().Format("2006-01-02 15:04"))
		}
		return sayResult(std, done.Fingerprint)
	})
}

type ctlUndrain struct{ named }

// Run ends the draining of a device.
func (x *ctlUndrain) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.Undrain(ctx, x.Device) })
}

type ctlWake struct{ named }

// Run wakes a device.
func (x *ctlWake) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.Wake(ctx, x.Device) })
}

type ctlRemove struct{ named }

// Run removes a device.
func (x *ctlRemove) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.Remove(ctx, x.Device) })
}

type ctlPing struct{}

// Run pings.
func (*ctlPing) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error {
		if err := c.Ping(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.Out, "ok")
		return err
	})
}
