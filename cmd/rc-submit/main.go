// Command rc-submit gives tasks to a cluster.
package main

import (
	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

func main() { cli.Main("rc-submit", "Give tasks to a cluster.", new(command.Submit)) }
