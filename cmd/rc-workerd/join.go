package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/visible"
	"github.com/retire-cluster/retire-cluster/lib/worker"
)

// join enrols this device.
type join struct {
	Code string `arg:"" optional:"" help:"The code. Without it, it is read from the standard input."`
	Name string `placeholder:"NAME" help:"Name to join under. Default: the host's."`
}

// ask reads the code where none is among the arguments, in which other users of this host can see it.
func (j *join) ask(std cli.Std) error {
	if j.Code != "" && j.Code != "-" {
		return nil
	}
	if std.ErrTerminal() {
		fmt.Fprint(std.Err, "join code: ")
	}
	line, err := bufio.NewReader(io.LimitReader(std.In, 4<<10)).ReadString('\n')
	if j.Code = strings.TrimSpace(line); j.Code == "" {
		return cli.Exit(cli.BadInput, fmt.Errorf("join: no code came on the standard input (%v); rc-ctl invite makes one", err))
	}
	return nil
}

// Run joins, and prints the name that the device has in the cluster.
func (j *join) Run(ctx context.Context, all *workerd, env cli.Env, std cli.Std) error {
	if err := j.ask(std); err != nil {
		return err
	}
	joined, err := worker.Join(ctx, worker.Options{Dir: all.dataDir(env), JoinCode: j.Code, Name: j.Name, Discovery: all.discovery(), Roots: roots(env),
		Software: "rc-workerd " + cli.Version, Env: env, Log: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, worker.ErrInUse):
		return cli.Exit(cli.Unavailable, err)
	case err != nil:
		return err
	}
	if joined.Pending {
		fmt.Fprintf(std.Err, "rc-workerd: it waits to be approved: rc-ctl approve %s on the main node\n", visible.Line(joined.DeviceID))
	}
	_, err = fmt.Fprintln(std.Out, visible.Line(joined.DeviceID))
	return err
}
