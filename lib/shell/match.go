package shell

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

type grep struct {
	Invert   bool     `short:"v" help:"Lines that do not match."`
	Fold     bool     `short:"i" help:"Capitals are as other letters."`
	Count    bool     `short:"c" help:"Only how many."`
	Number   bool     `short:"n" help:"With the numbers of lines."`
	Only     bool     `short:"o" help:"Only what matches."`
	Quiet    bool     `short:"q" help:"Nothing: the status says whether one matches."`
	Word     bool     `short:"w" help:"Whole words."`
	Line     bool     `short:"x" help:"Whole lines."`
	Fixed    bool     `short:"F" help:"The pattern is a text."`
	Extended bool     `short:"E" help:"The pattern is a regular expression, as it is without."`
	Most     int      `short:"m" help:"Stop after so many."`
	Patterns []string `short:"e" sep:"none" name:"regexp" help:"Pattern; may be given again."`
	Pattern  string   `arg:"" optional:"" help:"Pattern."`
}

// Run prints lines that match; its status is 1 where none does.
func (g *grep) Run(ctx context.Context, std cli.Std) error {
	re, err := g.expression()
	if err != nil {
		return err
	}
	matched, at, out := 0, 0, printer{std.Out}
	err = eachLine(ctx, std.In, func(line string) error {
		at++
		if re.MatchString(line) == g.Invert {
			return nil
		}
		matched++
		if g.Quiet {
			return io.EOF
		}
		if !g.Count {
			if err := g.print(out, re, at, line); err != nil {
				return err
			}
		}
		if g.Most > 0 && matched >= g.Most {
			return io.EOF
		}
		return nil
	})
	if err == nil && g.Count && !g.Quiet {
		err = out.line(strconv.Itoa(matched))
	}
	if err == nil && matched == 0 {
		return cli.Exit(cli.Failed, nil)
	}
	return err
}

func (g *grep) print(out printer, re *regexp.Regexp, at int, line string) error {
	prefix := ""
	if g.Number {
		prefix = strconv.Itoa(at) + ":"
	}
	if !g.Only || g.Invert {
		return out.line(prefix + line)
	}
	for _, part := range re.FindAllString(line, -1) {
		if part == "" {
			continue
		}
		if err := out.line(prefix + part); err != nil {
			return err
		}
	}
	return nil
}

func (g *grep) expression() (*regexp.Regexp, error) {
	patterns := g.Patterns
	if g.Pattern != "" || len(patterns) == 0 {
		patterns = append(patterns, g.Pattern)
	}
	for i, p := range patterns {
		if g.Fixed {
			p = regexp.QuoteMeta(p)
		}
		patterns[i] = "(?:" + p + ")"
	}
	s := strings.Join(patterns, "|")
	if g.Word {
		s = `\b(?:` + s + `)\b`
	}
	if g.Line {
		s = "^(?:" + s + ")$"
	}
	if g.Fold {
		s = "(?i)" + s
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, cli.Exit(StatusUsage, fmt.Errorf("pattern: %w", err))
	}
	return re, nil
}

type sed struct {
	Extended bool   `short:"E" help:"Regular expressions, as they are without."`
	Silent   bool   `short:"n" help:"Print only lines that were changed with the flag p."`
	Script   string `arg:"" help:"s/PATTERN/REPLACEMENT/FLAGS; flags: g for all, I for any case, p to print."`
}

// Run replaces in each line.
func (s *sed) Run(ctx context.Context, std cli.Std) error {
	re, with, flags, err := s.parse()
	if err != nil {
		return cli.Exit(StatusUsage, err)
	}
	out := printer{std.Out}
	return eachLine(ctx, std.In, func(line string) error {
		changed := re.MatchString(line)
		if len(line)+len(re.FindAllStringIndex(line, -1))*(len(with)+len(line)*strings.Count(with, "${")) > mostHeld {
			return fmt.Errorf("a line that becomes more than %s", cli.Bytes(mostHeld))
		}
		if strings.Contains(flags, "g") {
			line = re.ReplaceAllString(line, with)
		} else if at := re.FindStringSubmatchIndex(line); at != nil {
			line = line[:at[0]] + string(re.ExpandString(nil, with, line, at)) + line[at[1]:]
		}
		if s.Silent && !(changed && strings.Contains(flags, "p")) {
			return nil
		}
		return out.line(line)
	})
}

var groupOf = regexp.MustCompile(`\\([0-9&/])|&|\$`)

// parse reads s/…/…/ with any character in the place of /.
func (s *sed) parse() (re *regexp.Regexp, with, flags string, err error) {
	script := s.Script
	if len(script) < 4 || script[0] != 's' {
		return nil, "", "", fmt.Errorf("%.40q: this sed replaces, s/PATTERN/REPLACEMENT/, and does nothing else", script)
	}
	parts := splitUnescaped(script[2:], script[1])
	if len(parts) != 3 || strings.Trim(parts[2], "gIip") != "" {
		return nil, "", "", fmt.Errorf("%.40q: s/PATTERN/REPLACEMENT/FLAGS, of which g, I and p are known", script)
	}
	if flags = parts[2]; strings.ContainsAny(flags, "Ii") {
		parts[0] = "(?i)" + parts[0]
	}
	if re, err = regexp.Compile(parts[0]); err != nil {
		return nil, "", "", fmt.Errorf("pattern: %w", err)
	}
	with = groupOf.ReplaceAllStringFunc(parts[1], func(m string) string {
		switch {
		case m == "&":
			return "${0}"
		case m == "$":
			return "$$"
		case m[1] >= '0' && m[1] <= '9':
			return "${" + m[1:] + "}"
		}
		return m[1:]
	})
	return re, with, flags, nil
}

// splitUnescaped splits at a character that no backslash stands before; one that does loses it.
func splitUnescaped(s string, at byte) (parts []string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == at:
			b.WriteByte(at)
			i++
		case s[i] == '\\' && i+1 < len(s):
			b.WriteString(s[i : i+2])
			i++
		case s[i] == at:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String())
}
