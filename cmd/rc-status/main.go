// Command rc-status prints how a cluster, its devices and its tasks stand.
package main

import (
	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

func main() {
	cli.Main("rc-status", "Print how a cluster, its devices and its tasks stand.", new(command.Status))
}
