package main

import (
	"context"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/profile"
	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// check says what stands in the way of a worker on this device.
type check struct{}

// Run ends with 1 if anything is seen that does; what cannot be seen by a program is told too.
func (*check) Run(ctx context.Context, all *workerd, env cli.Env, std cli.Std) error {
	seen := 0
	for _, o := range profile.Obstacles(ctx, profile.Options{Roots: roots(env), WorkDir: all.dataDir(env)}) {
		word := "look"
		if o.Seen {
			word = "fix"
			seen++
		}
		fmt.Fprintf(std.Out, "%s: %s\n     %s\n", word, visible.Line(o.What), visible.Line(o.Cure))
	}
	if seen > 0 {
		return cli.Exit(cli.Failed, nil)
	}
	fmt.Fprintln(std.Out, "nothing is seen that stands in the way")
	return nil
}

// roots are where the system's trees are: below $RC_ROOT where that is set, for tests of a device that this one is not.
func roots(env cli.Env) profile.Roots {
	dir, _ := env("RC_ROOT")
	return profile.RootsBelow(dir)
}
