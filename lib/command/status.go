package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// Status is rc-status.
type Status struct {
	Overview statusOverview `cmd:"" default:"1" help:"How the cluster stands."`
	Devices  statusDevices  `cmd:"" help:"All devices."`
	Tasks    statusTasks    `cmd:"" help:"Tasks, the newest last."`
	Device   statusDevice   `cmd:"" help:"One device and the tasks that it holds."`
	Task     statusTask     `cmd:"" help:"One task and its attempts."`
	Output
	Watch bool `help:"Show it again every second."`
	Cluster
}

// view prints something of the cluster.
type view func(ctx context.Context, c *client.Client, p *text.Printer) error

// show prints a view once, or with --watch again and again.
func (s *Status) show(ctx context.Context, std cli.Std, env cli.Env, v view) error {
	c, err := s.open("rc-status", env, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if s.Watch && s.host != nil {
		return cli.Exit(cli.NotPermitted, errors.New("--watch moves the cursor, which is not for here: the pages beside this terminal are live"))
	}
	if s.Watch {
		return s.watch(ctx, std, env, c, v)
	}
	p := s.printer(std.Out, std, env)
	if err := v(ctx, c, p); err != nil {
		return err
	}
	return p.Flush()
}

// watch prints a view every second. Once it could be shown, a main node that is away is shown as such.
func (s *Status) watch(ctx context.Context, std cli.Std, env cli.Env, c *client.Client, v view) error {
	_, terminal := std.Terminal()
	for first := true; ; first = false {
		var b bytes.Buffer
		p := s.printer(&b, std, env)
		err := v(ctx, c, p)
		if _, away := errors.AsType[*client.UnreachableError](err); away && !first {
			b.Reset()
			say(&b, "rc-status: %v", err)
		} else if err != nil {
			return err
		}
		if err := p.Flush(); err != nil {
			return err
		}
		if err := paint(std.Out, b.Bytes(), terminal); err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// paint writes a screen over the one before, without clearing it first, which would flicker.
func paint(w io.Writer, screen []byte, terminal bool) error {
	if terminal {
		screen = bytes.ReplaceAll(screen, []byte("\n"), []byte("\x1b[K\n"))
		screen = append(append([]byte("\x1b[H"), screen...), "\x1b[J"...)
	}
	_, err := w.Write(screen)
	return err
}

type statusOverview struct{}

// Run prints the overview.
func (*statusOverview) Run(ctx context.Context, s *Status, std cli.Std, env cli.Env) error {
	return s.show(ctx, std, env, func(ctx context.Context, c *client.Client, p *text.Printer) error {
		status, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return p.Status(status)
	})
}

type statusDevices struct{}

// Run prints the devices.
func (*statusDevices) Run(ctx context.Context, s *Status, std cli.Std, env cli.Env) error {
	return s.show(ctx, std, env, func(ctx context.Context, c *client.Client, p *text.Printer) error {
		devices, err := c.Devices(ctx)
		if err != nil {
			return err
		}
		return p.Devices(devices)
	})
}

type statusDevice struct {
	Name string `arg:"" help:"Its name or the beginning of it."`
}

// Run prints a device.
func (d *statusDevice) Run(ctx context.Context, s *Status, std cli.Std, env cli.Env) error {
	return s.show(ctx, std, env, func(ctx context.Context, c *client.Client, p *text.Printer) error {
		device, tasks, err := c.Device(ctx, d.Name)
		if err != nil {
			return err
		}
		return p.Device(device, tasks)
	})
}

type statusTask struct {
	ID string `arg:"" help:"Its id or the beginning of it."`
}

// Run prints a task.
func (t *statusTask) Run(ctx context.Context, s *Status, std cli.Std, env cli.Env) error {
	if err := checkIDs([]string{t.ID}); err != nil {
		return err
	}
	return s.show(ctx, std, env, func(ctx context.Context, c *client.Client, p *text.Printer) error {
		task, err := c.Task(ctx, t.ID)
		if err != nil {
			return err
		}
		return p.Task(task)
	})
}
