package shell

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// mostCompleted is how many words may be told that a line can go on with.
const mostCompleted = 200

// Complete says with which words the line may go on, and where in it the one begins that they stand for: commands, their own commands and flags, devices,
// tasks.
func (s *Shell) Complete(ctx context.Context, line string) (from int, words []string) {
	from = strings.LastIndexFunc(line, unicode.IsSpace) + 1
	word := line[from:]
	before := strings.Fields(segment(line[:from]))
	var all []string
	switch {
	case len(before) == 0:
		all = Names()
	case strings.HasPrefix(word, "-"):
		all = flagsOf(inWords(before))
	default:
		all = s.arguments(ctx, before)
	}
	for _, w := range all {
		if strings.HasPrefix(w, word) && len(words) < mostCompleted {
			words = append(words, w)
		}
	}
	return from, words
}

// segment is what stands behind the last pipe, semicolon or opening bracket of a line.
func segment(line string) string {
	return line[strings.LastIndexAny(line, "|;&({`")+1:]
}

// arguments are what may stand behind a command: its own commands first, then what there is in the cluster.
func (s *Shell) arguments(ctx context.Context, before []string) (all []string) {
	for words := range firstWords {
		if first, second, _ := strings.Cut(words, " "); len(before) == 1 && first == before[0] {
			all = append(all, second)
		}
	}
	if len(all) > 0 {
		slices.Sort(all)
		return all
	}
	before = inWords(before)
	if programs[before[0]] == nil {
		return nil
	}
	if all = commandsOf(before); len(all) > 0 {
		return all
	}
	return s.inCluster(ctx)
}

// inCluster are the names of devices and the ids of the newest tasks.
func (s *Shell) inCluster(ctx context.Context) (all []string) {
	c, err := s.Open("completion", nil)
	if err != nil {
		return nil
	}
	defer c.Close()
	devices, err := c.Devices(ctx)
	for i := range devices {
		all = append(all, devices[i].ID)
	}
	if err != nil {
		return all
	}
	for t, err := range c.Tasks(ctx, wire.ListTasks{Newest: true, Limit: mostCompleted}) {
		if err != nil {
			break
		}
		all = append(all, t.ID.String())
	}
	return all
}

// helpOf is what a command says of itself.
func helpOf(words []string) string {
	p := programs[words[0]]
	if p == nil || p.make == nil {
		return ""
	}
	var out bytes.Buffer
	args := []string{}
	for _, w := range words[1:] {
		if !strings.HasPrefix(w, "-") && len(args) < 2 {
			args = append(args, w)
		}
	}
	for ; ; args = args[:len(args)-1] { // what is no command of its own is left out
		out.Reset()
		if cli.Exec(context.Background(), words[0], p.about, p.make(), append(slices.Clone(args), "--help"), nil, cli.Std{Out: &out}) == 0 || len(args) == 0 {
			return out.String()
		}
	}
}

var (
	flagName    = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(?:    )?(--[a-z][a-z-]*)`)
	commandName = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*(?: [a-z][a-z-]*)?)  `)
)

// notHere are flags that name files and other clusters.
var notHere = []string{"--main", "--pin", "--token-file", "--data", "--in", "--get", "--config", "--version", "--watch"}

func flagsOf(words []string) (all []string) {
	if f := filters[words[0]]; f != nil {
		return nil
	}
	for _, m := range flagName.FindAllStringSubmatch(helpOf(words), -1) {
		if !slices.Contains(notHere, m[1]) && !slices.Contains(all, m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// commandsOf are a command's own commands, behind those words that are there.
func commandsOf(words []string) (all []string) {
	help := helpOf(words[:1])
	_, list, found := strings.Cut(help, "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	if !found {
		return nil
	}
	given := strings.Join(words[1:], " ")
	for _, m := range commandName.FindAllStringSubmatch("\n"+list, -1) {
		if given == "" {
			first, _, _ := strings.Cut(m[1], " ")
			all = append(all, first)
		} else if second, ok := strings.CutPrefix(m[1], given+" "); ok {
			all = append(all, second)
		}
	}
	return compact(all)
}
