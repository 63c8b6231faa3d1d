// Command rc-ctl cancels and retries tasks, invites and drains devices, makes tokens.
package main

import (
	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

func main() {
	cli.Main("rc-ctl", "Cancel and retry tasks, invite and drain devices, make tokens.", new(command.Ctl))
}
