package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Exit statuses.
const (
	failed    = 1
	wrongUse  = 64
	cancelled = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// settings are what the flags say.
type settings struct {
	bin     string // folder of the programs
	out     string // folder for bench.json and bench.md
	tmp     string // folder on whose file system data is kept; empty: the system's own
	pairs   int    // how often what is compared is measured
	archive int    // ended tasks of the row archive
	quick   bool   // everything small: to see that it works, not how fast
}

// bench is the program without its process: it returns the exit status.
func bench(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	set := &settings{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&set.bin, "bin", "bin", "`folder` of rc-mained and the other programs")
	flags.StringVar(&set.out, "out", filepath.Join("bin", "bench"), "`folder` for bench.json and bench.md")
	flags.StringVar(&set.tmp, "tmp", "", "`folder` in which to keep data while measuring; its file system is what is measured")
	flags.IntVar(&set.pairs, "pairs", 0, "how often to measure what is compared (default 5, with -quick 2)")
	flags.IntVar(&set.archive, "archive", 0, "ended `tasks` of the row archive (default 100000, with -quick 4000)")
	flags.BoolVar(&set.quick, "quick", false, "measure everything at a small size, within a minute or two")
	list := flags.Bool("list", false, "print the rows, and measure nothing")
	if err := flags.Parse(args); err != nil {
		return wrongUse
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return wrongUse
	}
	if *list {
		for _, row := range chosen {
			fmt.Fprintf(stdout, "%-12s %s\n", row.name, row.about)
		}
		return 0
	}
	if err := set.complete(); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return wrongUse
	}
	return measureAll(ctx, set, chosen, stdout, stderr)
}

// complete fills in what depends on other flags, and looks whether the programs are there.
func (s *settings) complete() (err error) {
	if s.pairs <= 0 {
		s.pairs = s.size(5, 2)
	}
	if s.archive <= 0 {
		s.archive = s.size(100_000, 4_000)
	}
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	for _, name := range []string{"rc-mained", "rc-workerd", "rc-submit", "rc-status", "rc-web"} {
		if _, err := os.Stat(filepath.Join(s.bin, name)); err != nil {
			return fmt.Errorf("look for the programs: %w; make build makes them, -bin names their folder", err)
		}
	}
	return nil
}

// size is how much of something to take.
func (s *settings) size(full, quick int) int {
	if s.quick {
		return quick
	}
	return full
}

// measureAll measures rows one after another and reports them. What was measured before a Ctrl-C is reported, too.
func measureAll(ctx context.Context, set *settings, chosen []row, stdout, stderr io.Writer) int {
	dir, err := os.MkdirTemp(set.tmp, "rc-bench")
	if err != nil {
		fmt.Fprintf(stderr, "bench: make a folder for data: %v\n", err)
		return failed
	}
	defer os.RemoveAll(dir)
	machine, err := readMachine(dir)
	if err != nil {
		fmt.Fprintf(stderr, "bench: look at this machine: %v\n", err)
		return failed
	}
	report := &Report{Machine: machine, Began: time.Now().UTC().Truncate(time.Second), Quick: set.quick, Pairs: set.pairs}
	status := 0
	for _, row := range chosen {
		if ctx.Err() != nil {
			status = cancelled
			break
		}
		fmt.Fprintf(stderr, "== %s: %s\n", row.name, row.about)
		o := measure(ctx, set, row, dir, stderr)
		for _, line := range o.lines() {
			fmt.Fprintf(stderr, "   %s\n", line)
		}
		if o.failed() {
			status = failed
		}
		report.Rows = append(report.Rows, o)
	}
	report.Seconds = time.Since(report.Began).Round(time.Second).Seconds()
	report.print(stdout)
	if err := report.save(set.out); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return failed
	}
	return status
}
