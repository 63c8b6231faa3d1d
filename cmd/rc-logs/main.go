// Command rc-logs prints what tasks printed, and the log of a cluster.
package main

import (
	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

func main() {
	cli.Main("rc-logs", "Print what tasks printed, and the log of a cluster.", new(command.Logs))
}
