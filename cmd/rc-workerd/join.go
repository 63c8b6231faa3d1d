package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/worker"
)

// join enrols this device.
type join struct {
	Code string `arg:"" help:"The code."`
	Name string `placeholder:"NAME" help:"Name to join under. Default: the host's."`
}

// Run joins, and prints the name that the device has in the cluster.
func (j *join) Run(ctx context.Context, all *workerd, env cli.Env, std cli.Std) error {
	joined, err := worker.Join(ctx, worker.Options{Dir: all.dataDir(env), JoinCode: j.Code, Name: j.Name, Discovery: all.discovery(), Roots: roots(env),
		Software: "rc-workerd " + cli.Version, Env: env, Log: slog.New(slog.DiscardHandler)})
	switch {
	case errors.Is(err, worker.ErrInUse):
		return cli.Exit(cli.Unavailable, err)
	case err != nil:
		return err
	}
	if joined.Pending {
		fmt.Fprintf(std.Err, "rc-workerd: it waits to be approved: rc-ctl approve %s on the main node\n", joined.DeviceID)
	}
	_, err = fmt.Fprintln(std.Out, joined.DeviceID)
	return err
}
