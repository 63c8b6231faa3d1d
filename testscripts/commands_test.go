package testscripts

import (
	"errors"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commands are ours; README.md tells about each.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"cluster":     cmdCluster,
	"eventually":  cmdEventually,
	"exits":       cmdExits,
	"manmatches":  cmdManMatches,
	"runexamples": cmdRunExamples,
	"sleeper":     cmdSleeper,
}

// cmdEventually runs a command again and again until its standard output matches. What it printed at last stands in the log.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually regexp command…")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	pause := 10 * time.Millisecond
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pause) {
		if out := output(ts, args[1], args[2:]...); re.Match(out) {
			ts.Stdout().Write(out)
			return
		}
		pause = min(pause*3/2, 250*time.Millisecond)
	}
	err = ts.Exec(args[1], args[2:]...)
	ts.Fatalf("no match for %#q in %s (%v)", args[0], patience, err)
}

// cmdExits runs a command that must end with an exit status.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want := -1
	if len(args) > 1 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			want = n
		}
	}
	if neg || want < 0 {
		ts.Fatalf("usage: exits status command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}
