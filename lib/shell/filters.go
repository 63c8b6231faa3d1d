package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// filterCommand is a program that reads its standard input and prints what it makes of it. It is like the one of that name on Unix, with the flags that
// people use; regular expressions are Go's (RE2), which no input makes slow.
type filterCommand struct {
	usage, about string
	make         func() any // with kong's tags and Run(context.Context, cli.Std) error
}

// filters are what stands behind a pipe.
var filters = map[string]*filterCommand{
	"cat":  {"cat", "as it is", func() any { return new(cat) }},
	"cut":  {"cut -d '|' -f 1,3- | cut -c 1-20", "fields of each line", func() any { return new(cut) }},
	"grep": {"grep [-cEFinoqvwx] [-m N] PATTERN", "lines that match", func() any { return new(grep) }},
	"head": {"head [-n N]", "the first lines", func() any { return new(head) }},
	"jq":   {"jq [-cr] .FIELD[N].FIELD,…", "fields of JSON: a selection, and no more of jq than that", func() any { return new(jq) }},
	"nl":   {"nl", "lines with their numbers", func() any { return new(nl) }},
	"sed":  {"sed [-En] 's/PATTERN/REPLACEMENT/[gIp]'", "each line with a replacement", func() any { return new(sed) }},
	"sort": {"sort [-fnru] [-k N] [-t C]", "lines in order", func() any { return new(sorted) }},
	"tail": {"tail [-n N|+N]", "the last lines", func() any { return new(tail) }},
	"tee":  {"tee", "as it is: there are no files to put it into", func() any { return new(cat) }},
	"tr":   {"tr [-ds] SET [SET]", "characters for others", func() any { return new(tr) }},
	"uniq": {"uniq [-cdu]", "without lines that are as the one before", func() any { return new(uniq) }},
	"wc":   {"wc [-clw]", "how many lines, words and bytes", func() any { return new(wc) }},
}

// Bounds of what a filter holds.
const (
	mostLine = 1 << 20  // bytes of one line
	mostTail = 1 << 20  // lines that tail holds
	mostHeld = 64 << 20 // bytes of all lines that have to be seen before the first can be printed
)

// filter runs a filter.
func filter(ctx context.Context, args []string, std cli.Std) int {
	return cli.Exec(ctx, args[0], filters[args[0]].about, filters[args[0]].make(), plainFlags(args), nil, std)
}

var number = regexp.MustCompile(`^-[0-9]+$`)

// plainFlags writes -5 as -n 5, as head and tail have it.
func plainFlags(args []string) []string {
	rest := append([]string(nil), args[1:]...)
	if (args[0] == "head" || args[0] == "tail") && len(rest) > 0 && number.MatchString(rest[0]) {
		return append([]string{"-n", rest[0][1:]}, rest[1:]...)
	}
	return rest
}

// eachLine calls do with every line, without its end, until that gives an error; io.EOF ends it well.
func eachLine(ctx context.Context, in io.Reader, do func(line string) error) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 64<<10), mostLine)
	for s.Scan() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(s.Text()); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line of more than %s", cli.Bytes(mostLine))
	}
	return s.Err()
}

// allLines reads all lines.
func allLines(ctx context.Context, in io.Reader) (lines []string, err error) {
	held := 0
	err = eachLine(ctx, in, func(line string) error {
		if held += len(line) + 16; held > mostHeld {
			return fmt.Errorf("more than %s of lines", cli.Bytes(mostHeld))
		}
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

// printer prints lines, and each at once where somebody may be waiting for it.
type printer struct{ w io.Writer }

func (p printer) line(s string) error {
	_, err := io.WriteString(p.w, s+"\n")
	return err
}

type cat struct{}

// Run copies.
func (*cat) Run(_ context.Context, std cli.Std) error {
	_, err := io.Copy(std.Out, std.In)
	return err
}

type head struct {
	Lines int `short:"n" default:"10" help:"So many."`
}

// Run prints the first lines.
func (h *head) Run(ctx context.Context, std cli.Std) error {
	n, out := 0, printer{std.Out}
	if h.Lines <= 0 {
		return nil
	}
	return eachLine(ctx, std.In, func(line string) error {
		if err := out.line(line); err != nil {
			return err
		}
		if n++; n >= h.Lines {
			return io.EOF
		}
		return nil
	})
}

type tail struct {
	Lines string `short:"n" default:"10" help:"So many; +N: from the N-th on."`
}

// Run prints the last lines.
func (t *tail) Run(ctx context.Context, std cli.Std) error {
	n, err := strconv.Atoi(strings.TrimPrefix(t.Lines, "+"))
	if err != nil || n < 0 || n > mostTail && !strings.HasPrefix(t.Lines, "+") {
		return cli.Exit(cli.Usage, fmt.Errorf("-n %.20q: a number of lines, at most %d", t.Lines, mostTail))
	}
	out := printer{std.Out}
	if strings.HasPrefix(t.Lines, "+") {
		at := 0
		return eachLine(ctx, std.In, func(line string) error {
			if at++; at < n {
				return nil
			}
			return out.line(line)
		})
	}
	var last []string
	held := 0
	err = eachLine(ctx, std.In, func(line string) error {
		if held += len(line) + 16; held > mostHeld && len(last) <= n {
			return fmt.Errorf("more than %s of lines", cli.Bytes(mostHeld))
		}
		if last = append(last, line); len(last) > n+1024 {
			last = append(last[:0], last[len(last)-n:]...)
		}
		return nil
	})
	for _, line := range last[max(0, len(last)-n):] {
		if err == nil {
			err = out.line(line)
		}
	}
	return err
}

type nl struct{}

// Run numbers lines.
func (*nl) Run(ctx context.Context, std cli.Std) error {
	n := 0
	return eachLine(ctx, std.In, func(line string) error {
		n++
		_, err := fmt.Fprintf(std.Out, "%6d\t%s\n", n, line)
		return err
	})
}

type wc struct {
	Lines bool `short:"l" help:"Lines."`
	Words bool `short:"w" help:"Words."`
	Bytes bool `short:"c" help:"Bytes."`
}

// Run counts.
func (w *wc) Run(_ context.Context, std cli.Std) error {
	var lines, words, size int
	inWord := false
	r := bufio.NewReader(std.In)
	for {
		b, err := r.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		size++
		if b == '\n' {
			lines++
		}
		space := b == ' ' || b >= '\t' && b <= '\r'
		if !space && !inWord {
			words++
		}
		inWord = !space
	}
	var out []string
	for _, c := range []struct {
		wanted bool
		n      int
	}{{w.Lines, lines}, {w.Words, words}, {w.Bytes, size}} {
		if c.wanted || !w.Lines && !w.Words && !w.Bytes {
			out = append(out, strconv.Itoa(c.n))
		}
	}
	return printer{std.Out}.line(strings.Join(out, " "))
}
