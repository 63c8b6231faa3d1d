package shell

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"mvdan.cc/sh/v3/expand"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

// program is a command of the toolkit.
type program struct {
	about string
	make  func() command.Hosted
}

// programs are the commands that act on a cluster. The daemons are none.
var programs = map[string]*program{
	"rc-status": {"print the cluster, its devices and its tasks", func() command.Hosted { return new(command.Status) }},
	"rc-submit": {"give tasks to the cluster", func() command.Hosted { return new(command.Submit) }},
	"rc-logs":   {"print what tasks printed, and the cluster's log", func() command.Hosted { return new(command.Logs) }},
	"rc-ctl":    {"cancel and retry tasks, drain devices, make join codes and tokens", func() command.Hosted { return new(command.Ctl) }},
	helpName:    {},
}

// helpName is help: the shell's own word of that name is about itself.
const helpName = "\x00help"

// program runs a command of the toolkit.
func (s *Shell) program(ctx context.Context, args []string, std cli.Std, env expand.Environ) int {
	if args[0] == helpName {
		return help(args[1:], std)
	}
	p := programs[args[0]]
	cmd := p.make()
	cmd.Host(s.Open)
	variable := func(name string) (string, bool) {
		if s.Format != "" && strings.HasSuffix(name, "_OUTPUT") {
			return string(s.Format), true
		}
		if !shown[name] { // such as RC_TOKEN_FILE: no variable names a file of this host
			return "", false
		}
		v := env.Get(name)
		return v.String(), v.IsSet()
	}
	return cli.Exec(ctx, args[0], p.about, cmd, args[1:], variable, std)
}

// shown are the variables that a line may set for commands: how they print.
var shown = map[string]bool{"NO_COLOR": true, "TERM": true, "COLUMNS": true}

// firstWords are those of the first Retire-Cluster's terminal, and what they are here.
var firstWords = map[string][]string{
	"devices list":   {"rc-status", "devices"},
	"devices show":   {"rc-status", "device"},
	"devices remove": {"rc-ctl", "remove"},
	"device show":    {"rc-status", "device"},
	"device remove":  {"rc-ctl", "remove"},
	"tasks list":     {"rc-status", "tasks"},
	"tasks submit":   {"rc-submit"},
	"tasks show":     {"rc-status", "task"},
	"tasks cancel":   {"rc-ctl", "cancel"},
	"tasks retry":    {"rc-ctl", "retry"},
	"tasks logs":     {"rc-logs"},
	"task show":      {"rc-status", "task"},
	"task cancel":    {"rc-ctl", "cancel"},
	"task retry":     {"rc-ctl", "retry"},
	"monitor logs":   {"rc-logs", "--follow"},
	"cluster status": {"rc-status"},
	"cluster health": {"rc-ctl", "ping"},
	"cluster logs":   {"rc-logs", "-n", "20"},
}

// inWords gives a line of the first Retire-Cluster in today's words.
func inWords(args []string) []string {
	if len(args) < 2 {
		return args
	}
	if now, ok := firstWords[args[0]+" "+args[1]]; ok {
		return append(append([]string(nil), now...), args[2:]...)
	}
	return args
}

// Names lists the words that a line may begin with.
func Names() []string {
	names := []string{"help"}
	for name := range programs {
		if name != helpName {
			names = append(names, name)
		}
	}
	for name := range filters {
		names = append(names, name)
	}
	for words := range firstWords {
		first, _, _ := strings.Cut(words, " ")
		names = append(names, first)
	}
	sort.Strings(names)
	return compact(names)
}

func compact(sorted []string) (all []string) {
	for i, s := range sorted {
		if i == 0 || s != sorted[i-1] {
			all = append(all, s)
		}
	}
	return all
}

// help tells what there is.
func help(args []string, std cli.Std) int {
	if len(args) > 0 {
		if p := programs[args[0]]; p != nil {
			return cli.Exec(context.Background(), args[0], p.about, p.make(), []string{"--help"}, nil, std)
		}
		if f := filters[args[0]]; f != nil {
			fmt.Fprintf(std.Out, "usage: %s\n", f.usage)
			return 0
		}
		fmt.Fprintf(std.Err, "help: %.80q: no such command\n", args[0])
		return cli.Failed
	}
	fmt.Fprint(std.Out, "Commands (each has --help):\n")
	for _, name := range Names() {
		if p := programs[name]; p != nil {
			fmt.Fprintf(std.Out, "  %-10s %s\n", name, p.about)
		}
	}
	fmt.Fprint(std.Out, "\nFilters, after a |:\n")
	for _, name := range Names() {
		if f := filters[name]; f != nil {
			fmt.Fprintf(std.Out, "  %-8s %s\n", name, f.about)
		}
	}
	fmt.Fprint(std.Out, `
As in a shell: 'quotes', | pipes, && and ||, $variables, $(…), for … do … done. There are no files here.

  rc-status devices | grep online | wc -l
  rc-submit --wait -- uptime
  rc-logs -f t7k3
  for d in $(rc-status devices | cut -d '|' -f 1); do rc-submit --device $d -- uptime; done
`)
	return 0
}
