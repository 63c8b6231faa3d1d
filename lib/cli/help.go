package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// helpWidth is the width of the help in columns where the terminal does not say another.
const helpWidth = 80

// page is a help text that is being written.
type page struct {
	bytes.Buffer
	inv   *invocation
	vars  map[*kong.Value][]string
	width int
}

// row is a name and what it means.
type row struct{ left, right string }

// writeHelp prints the help of the selected command on standard output.
func (inv *invocation) writeHelp(parsed *kong.Context, s *settings) error {
	p := &page{inv: inv, vars: s.variables, width: helpWidth}
	if width, ok := inv.std.Terminal(); ok {
		p.width = min(max(width, 40), 100)
	}
	node := parsed.Selected()
	if node == nil {
		node = parsed.Model.Node
	}
	p.head(node)
	p.commands(node)
	p.flags(node)
	p.foot(node)
	_, err := inv.std.Out.Write(p.Bytes())
	return err
}

// head is what the command is for and how it is called.
func (p *page) head(node *kong.Node) {
	name := strings.TrimSpace(p.inv.name + " " + commandPath(node))
	p.wrap("", name+" - "+strings.TrimSuffix(node.Help, "."))
	usage := "Usage: " + name + " [flags]"
	if len(node.Children) > 0 && node.DefaultCmd == nil {
		usage += " <command>"
	} else if len(node.Children) > 0 {
		usage += " [<command>]"
	}
	for _, arg := range positionals(node) {
		usage += " " + arg.Summary()
	}
	p.WriteString("\n")
	p.wrap("", usage)
	var rows []row
	for _, arg := range positionals(node) {
		if arg.Help != "" {
			rows = append(rows, row{arg.Summary(), arg.Help})
		}
	}
	p.table("", leftColumn(rows), rows)
}

// positionals are the arguments of a command, or of its default sub-command.
func positionals(node *kong.Node) []*kong.Positional {
	if len(node.Positional) == 0 && node.DefaultCmd != nil {
		return node.DefaultCmd.Positional
	}
	return node.Positional
}

// commandPath is the words between the program's name and the flags.
func commandPath(node *kong.Node) string {
	if node == nil || node.Type == kong.ApplicationNode {
		return ""
	}
	return strings.TrimSpace(commandPath(node.Parent) + " " + node.Name)
}

func (p *page) commands(node *kong.Node) {
	var rows []row
	for _, leaf := range node.Leaves(true) {
		help := leaf.Help
		if leaf == node.DefaultCmd {
			help = strings.TrimSuffix(help, ".") + " (the default)."
		}
		rows = append(rows, row{strings.TrimPrefix(commandPath(leaf), commandPath(node)+" "), help})
	}
	p.table("Commands:", leftColumn(rows), rows)
}

// flags are the command's own, its default sub-command's and its parents', by group; those of every command come last.
func (p *page) flags(node *kong.Node) {
	titles, groups := []string{"Flags:"}, map[string][]row{}
	var last []row
	for _, flag := range visibleFlags(node) {
		title := "Flags:"
		if flag.Group != nil {
			title = flag.Group.Title + ":"
		}
		r := row{flagLeft(flag), p.flagRight(flag)}
		if flag.Tag.Has("builtin") {
			last = append(last, r)
			continue
		}
		if _, ok := groups[title]; !ok && title != titles[0] {
			titles = append(titles, title)
		}
		groups[title] = append(groups[title], r)
	}
	groups[titles[0]] = append(groups[titles[0]], last...)
	column := 0
	for _, rows := range groups {
		column = max(column, leftColumn(rows))
	}
	for _, title := range titles {
		p.table(title, column, groups[title])
	}
}

func visibleFlags(node *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	if node.DefaultCmd != nil {
		flags = append(flags, node.DefaultCmd.Flags...)
	}
	for n := node; n != nil; n = n.Parent {
		flags = append(flags, n.Flags...)
	}
	visible := flags[:0]
	for _, flag := range flags {
		if !flag.Hidden {
			visible = append(visible, flag)
		}
	}
	return visible
}

func flagLeft(flag *kong.Flag) string {
	left := "    --"
	if flag.Short != 0 {
		left = "-" + string(flag.Short) + ", --"
	}
	if flag.Tag.Negatable != "" {
		left += "[no-]"
	}
	left += flag.Name
	if !flag.IsBool() && !flag.IsCounter() {
		left += " " + placeholder(flag)
	}
	return left
}

// placeholder is what stands for a flag's value.
func placeholder(flag *kong.Flag) string {
	if flag.PlaceHolder != "" {
		return flag.PlaceHolder
	}
	if flag.Enum != "" && len(flag.Enum) <= 24 {
		return strings.Join(flag.EnumSlice(), "|")
	}
	t := flag.Target.Type()
	if t.Kind() == reflect.Pointer || flag.IsSlice() && flag.Tag.Type == "" {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Bytes]():
		return "SIZE"
	case reflect.TypeFor[Duration](), reflect.TypeFor[time.Duration]():
		return "TIME"
	case reflect.TypeFor[slog.Level]():
		return "LEVEL"
	}
	switch kind := t.Kind(); {
	case flag.Tag.Type != "":
		return "FILE"
	case kind == reflect.Map:
		return "KEY=VALUE"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "N"
	}
	words := strings.Split(flag.Name, "-")
	return strings.ToUpper(words[len(words)-1])
}

// flagRight is the help, the default and the variable, if its name does not follow from the flag's.
func (p *page) flagRight(flag *kong.Flag) string {
	var notes []string
	if flag.HasDefault && flag.Default != "" && !flag.IsBool() {
		notes = append(notes, "default "+flag.Default)
	}
	for _, name := range p.vars[flag.Value] {
		if name != derivedVariable(p.inv.name, flag.Name) {
			notes = append(notes, "$"+name)
		}
	}
	if len(notes) == 0 {
		return flag.Help
	}
	return strings.TrimSuffix(flag.Help, ".") + " (" + strings.Join(notes, ", ") + ")."
}

// foot is what the command wants to add, and how variables are named.
func (p *page) foot(node *kong.Node) {
	if node.Detail != "" {
		p.WriteString("\n" + strings.TrimSpace(node.Detail) + "\n")
	}
	for _, flag := range visibleFlags(node) {
		derived := derivedVariable(p.inv.name, flag.Name)
		for _, name := range p.vars[flag.Value] {
			if name == derived {
				p.WriteString("\n")
				p.wrap("", "Variables set flags too: $"+name+" is --"+flag.Name+", and so on.")
				return
			}
		}
	}
}

// leftColumn is the width of the widest left text that is not too wide.
func leftColumn(rows []row) int {
	column := 0
	for _, r := range rows {
		if n := len(r.left); n > column && n <= 26 {
			column = n
		}
	}
	return column
}

// table prints rows in two columns; what is too long for the left one gets a line of its own.
func (p *page) table(title string, column int, rows []row) {
	if len(rows) == 0 {
		return
	}
	p.WriteString("\n")
	indent := ""
	if title != "" {
		p.WriteString(title + "\n")
		indent = "  "
	}
	margin := strings.Repeat(" ", len(indent)+column+2)
	for _, r := range rows {
		first := fmt.Sprintf("%s%-*s  ", indent, column, r.left)
		if len(first) > len(margin) {
			p.WriteString(strings.TrimRight(first, " ") + "\n")
			first = margin
		}
		p.wrap(first, r.right)
	}
}

// wrap prints first and then words, the lines after the first indented as far as first is long.
func (p *page) wrap(first, text string) {
	line, empty := first, true
	for word := range strings.FieldsSeq(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > p.width {
			p.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", len(first)), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.WriteString(strings.TrimRight(line, " ") + "\n")
}
