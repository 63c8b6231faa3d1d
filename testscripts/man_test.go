package testscripts

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdManMatches compares the flags in a command's --help, and in those of its sub-commands, with the flags under OPTIONS of its manual page.
func cmdManMatches(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: manmatches command page")
	}
	help, page := helpFlags(ts, args[0]), pageFlags(section(ts, args[1], "OPTIONS"))
	for _, f := range difference(help, page) {
		ts.Logf("%s is in %s --help, not under OPTIONS of %s", f, args[0], args[1])
	}
	for _, f := range difference(page, help) {
		ts.Logf("%s is under OPTIONS of %s, not in %s --help", f, args[1], args[0])
	}
	if !maps.Equal(help, page) || len(help) == 0 {
		ts.Fatalf("%s --help lists %v, the page lists %v", args[0], sorted(help), sorted(page))
	}
}

var (
	helpFlag    = regexp.MustCompile(`(?m)^ +(?:-\w, |    )?(--[a-z][a-z0-9-]*)`)
	helpCommand = regexp.MustCompile(`^  ([a-z]+(?: [a-z]+)*)  `)
)

// helpFlags are the flags that a command knows.
func helpFlags(ts *testscript.TestScript, command string) map[string]bool {
	flags := map[string]bool{}
	help := string(output(ts, command, "--help"))
	asked := []string{help}
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		if m := helpCommand.FindStringSubmatch(line); m != nil {
			asked = append(asked, string(output(ts, command, append(strings.Fields(m[1]), "--help")...)))
		}
	}
	for _, text := range asked {
		for _, m := range helpFlag.FindAllStringSubmatch(text, -1) {
			flags[m[1]] = true
		}
	}
	return flags
}

var pageFlag = regexp.MustCompile(`(?:^|[ ,])-([a-z][a-z0-9-]+)`)

// pageFlags are the flags that have an item in a list: ".It Fl w , -wait", ".It Fl -main Ar host".
func pageFlags(lines []string) map[string]bool {
	flags := map[string]bool{}
	for _, line := range lines {
		item, is := strings.CutPrefix(line, ".It ")
		if !is {
			continue
		}
		for _, m := range pageFlag.FindAllStringSubmatch(item, -1) {
			flags["--"+m[1]] = true
		}
	}
	return flags
}

// section is the lines of a section of a manual page, without roff's escapes.
func section(ts *testscript.TestScript, page, name string) (lines []string) {
	within := false
	for line := range strings.Lines(ts.ReadFile(filepath.Join(ts.Getenv("MAN"), page))) {
		line = unescape.Replace(strings.TrimSuffix(line, "\n"))
		if title, is := strings.CutPrefix(line, ".Sh "); is {
			within = title == name
		} else if within {
			lines = append(lines, line)
		}
	}
	return lines
}

var unescape = strings.NewReplacer(`\-`, "-", `\e`, `\`, `\(rs`, `\`, `\(aq`, "'", `\(dq`, `"`, `\(ha`, "^", `\(ti`, "~", `\&`, "")

// cmdRunExamples runs every line under EXAMPLES of a manual page that begins with "$ rc-", each of which must end well.
func cmdRunExamples(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: runexamples page")
	}
	ran := 0
	example := ""
	for _, line := range section(ts, args[0], "EXAMPLES") {
		if example == "" {
			if !strings.HasPrefix(line, "$ rc-") {
				continue
			}
			line = line[len("$ "):]
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			example += before
			continue
		}
		example += line
		ts.Logf("> %s", example)
		if err := ts.Exec("sh", "-c", example); err != nil {
			ts.Fatalf("%s: %s: %v", args[0], example, err)
		}
		example = ""
		ran++
	}
	if ran == 0 {
		ts.Fatalf("%s: no line under EXAMPLES begins with \"$ rc-\"", args[0])
	}
}

// difference is what is in a and not in b.
func difference(a, b map[string]bool) (only []string) {
	for _, f := range sorted(a) {
		if !b[f] {
			only = append(only, f)
		}
	}
	return only
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
