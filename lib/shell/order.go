package shell

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

type sorted struct {
	Reverse   bool   `short:"r" help:"The greatest first."`
	Numeric   bool   `short:"n" help:"By number."`
	Fold      bool   `short:"f" help:"Capitals are as other letters."`
	Unique    bool   `short:"u" help:"Of equal lines the first alone."`
	Key       string `short:"k" help:"By this field, or from it to another: 2 or 2,3."`
	Separator string `short:"t" help:"Between fields; without it, spaces."`
}

// Run sorts lines.
func (s *sorted) Run(ctx context.Context, std cli.Std) error {
	from, to, err := s.fields()
	if err != nil {
		return cli.Exit(StatusUsage, err)
	}
	lines, err := allLines(ctx, std.In)
	if err != nil {
		return err
	}
	keys := make(map[string]string, len(lines))
	for _, line := range lines {
		keys[line] = s.key(line, from, to)
	}
	by := func(a, b string) int {
		c := s.compare(keys[a], keys[b])
		if c == 0 && !s.Unique {
			c = strings.Compare(a, b)
		}
		if s.Reverse {
			return -c
		}
		return c
	}
	slices.SortStableFunc(lines, by)
	if s.Unique {
		lines = slices.CompactFunc(lines, func(a, b string) bool { return by(a, b) == 0 })
	}
	out := printer{std.Out}
	for _, line := range lines {
		if err := out.line(line); err != nil {
			return err
		}
	}
	return nil
}

func (s *sorted) fields() (from, to int, err error) {
	if s.Key == "" {
		return 0, 0, nil
	}
	first, last, ranged := strings.Cut(strings.TrimRight(s.Key, "nr"), ",")
	s.Numeric = s.Numeric || strings.Contains(s.Key, "n")
	s.Reverse = s.Reverse || strings.Contains(s.Key, "r")
	if from, err = strconv.Atoi(first); err == nil && ranged {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || ranged && to < from {
		return 0, 0, fmt.Errorf("-k %.20q: the number of a field, or two", s.Key)
	}
	return from, to, nil
}

// key is what a line is sorted by.
func (s *sorted) key(line string, from, to int) string {
	if from == 0 {
		return line
	}
	fields, between := strings.Fields(line), " "
	if s.Separator != "" {
		fields, between = strings.Split(line, s.Separator), s.Separator
	}
	if from > len(fields) {
		return ""
	}
	if to == 0 || to > len(fields) {
		to = len(fields)
	}
	return strings.Join(fields[from-1:to], between)
}

func (s *sorted) compare(a, b string) int {
	if s.Numeric {
		return cmp.Compare(leading(a), leading(b))
	}
	if s.Fold {
		a, b = strings.ToUpper(a), strings.ToUpper(b)
	}
	return strings.Compare(a, b)
}

// leading is the number that a text begins with; 0 where there is none.
func leading(s string) float64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || s[end] == '-' && end == 0) {
		end++
	}
	n, _ := strconv.ParseFloat(s[:end], 64)
	return n
}

type uniq struct {
	Count  bool `short:"c" help:"With how many there were."`
	Double bool `short:"d" help:"Only those that there were several of."`
	Single bool `short:"u" help:"Only those that there was one of."`
}

// Run leaves out lines that are as the one before.
func (u *uniq) Run(ctx context.Context, std cli.Std) error {
	last, times := "", 0
	tell := func() error {
		switch {
		case times == 0, u.Double && times < 2, u.Single && times > 1:
			return nil
		case u.Count:
			_, err := fmt.Fprintf(std.Out, "%7d %s\n", times, last)
			return err
		}
		return printer{std.Out}.line(last)
	}
	err := eachLine(ctx, std.In, func(line string) error {
		if times > 0 && line == last {
			times++
			return nil
		}
		if err := tell(); err != nil {
			return err
		}
		last, times = line, 1
		return nil
	})
	if err != nil {
		return err
	}
	return tell()
}
