package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

type cut struct {
	Delimiter string `short:"d" default:"\t" help:"Between fields."`
	Fields    string `short:"f" help:"Fields: 1,3 or 2-4 or 5-."`
	Chars     string `short:"c" help:"Characters, in the same way."`
}

// Run prints fields of each line. A line without a delimiter is printed whole.
func (c *cut) Run(ctx context.Context, std cli.Std) error {
	list := c.Fields
	if (c.Fields == "") == (c.Chars == "") {
		return cli.Exit(StatusUsage, errors.New("give either -f or -c"))
	}
	if c.Chars != "" {
		list = c.Chars
	}
	wanted, err := parseRanges(list)
	if err != nil {
		return cli.Exit(StatusUsage, err)
	}
	out := printer{std.Out}
	return eachLine(ctx, std.In, func(line string) error {
		if c.Chars != "" {
			var b strings.Builder
			for i, r := range []rune(line) {
				if wanted.has(i + 1) {
					b.WriteRune(r)
				}
			}
			return out.line(b.String())
		}
		if !strings.Contains(line, c.Delimiter) {
			return out.line(line)
		}
		var kept []string
		for i, f := range strings.Split(line, c.Delimiter) {
			if wanted.has(i + 1) {
				kept = append(kept, f)
			}
		}
		return out.line(strings.Join(kept, c.Delimiter))
	})
}

// ranges are numbers from 1, as pairs of a first and a last one.
type ranges [][2]int

func (r ranges) has(n int) bool {
	for _, span := range r {
		if n >= span[0] && n <= span[1] {
			return true
		}
	}
	return false
}

func parseRanges(list string) (r ranges, err error) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		span := [2]int{1, 1 << 30}
		if first != "" {
			span[0], err = strconv.Atoi(first)
		}
		if !ranged {
			span[1] = span[0]
		} else if last != "" && err == nil {
			span[1], err = strconv.Atoi(last)
		}
		if err != nil || part == "" || part == "-" || span[0] < 1 || span[1] < span[0] {
			return nil, fmt.Errorf("%.40q: numbers from 1, as 1,3 or 2-4 or 5-", list)
		}
		r = append(r, span)
	}
	return r, nil
}

type tr struct {
	Delete  bool   `short:"d" help:"Leave out the characters of the set."`
	Squeeze bool   `short:"s" help:"Of the same several times in a row one alone."`
	Set     string `arg:"" help:"Characters, as abc or a-z or \\n."`
	To      string `arg:"" optional:"" help:"Those in their places."`
}

// Run puts characters in the place of others.
func (t *tr) Run(_ context.Context, std cli.Std) error {
	set, to := charset(t.Set), charset(t.To)
	if len(to) == 0 && !t.Delete && !t.Squeeze {
		return cli.Exit(StatusUsage, errors.New("what is to stand in their places?"))
	}
	place := map[rune]rune{}
	for i, r := range set {
		if len(to) > 0 {
			place[r] = to[min(i, len(to)-1)]
		} else {
			place[r] = r
		}
	}
	in, out := bufio.NewReader(std.In), bufio.NewWriter(std.Out)
	defer out.Flush()
	last := rune(-1)
	for {
		r, _, err := in.ReadRune()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		with, hit := place[r]
		if !hit {
			with = r
		}
		if hit && t.Delete || hit && t.Squeeze && with == last {
			continue
		}
		last = with
		if _, err := out.WriteRune(with); err != nil {
			return err
		}
	}
}

// charset writes a set out.
func charset(s string) (set []rune) {
	s = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`, "[:upper:]", "A-Z", "[:lower:]", "a-z", "[:digit:]", "0-9", "[:space:]", " \t\n\r").Replace(s)
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i+2] >= runes[i] && runes[i+2]-runes[i] < 1<<12 {
			for r := runes[i]; r <= runes[i+2]; r++ {
				set = append(set, r)
			}
			i += 2
			continue
		}
		set = append(set, runes[i])
	}
	return set
}
