//go:build cgo

package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// hostile acts on a terminal in every way that is short.
const hostile = "\x1b[2J\x1b]0;t\a\x1b]52;c;eA==\x1b\\\x1b[6n\x1bP$qm\x1b\\\x9b2J\u009b2J\x0e\b\rover\u202eevil\u200b\x7f\x1b[8mhidden\x1b[?1049h"

// terminal is a pseudo-terminal: what is written to the file, and what has come out of it.
func terminal(t *testing.T) (file *os.File, shown func() string) {
	t.Helper()
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is no pseudo-terminal here: ", err)
	}
	var number, unlock int32
	control(t, outer, syscall.TIOCSPTLCK, &unlock)
	control(t, outer, syscall.TIOCGPTN, &number)
	file, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	var got bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(&got, outer) }) // until the other side is closed
	return file, sync.OnceValue(func() string {
		file.Close()
		reading.Wait()
		outer.Close()
		return strings.ReplaceAll(got.String(), "\r\n", "\n")
	})
}

func control(t *testing.T, f *os.File, request uintptr, value *int32) {
	t.Helper()
	if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(value))); err != 0 {
		t.Fatal(err)
	}
}

// ours are the sequences that a command itself may print: colours, and what takes its line of progress away.
var ours = regexp.MustCompile(`\x1b\[[0-9:;]*m|\r\x1b\[K`)

func checkShown(t *testing.T, what, shown string) {
	t.Helper()
	rest := strings.NewReplacer("\n", "", "\t", "").Replace(ours.ReplaceAllString(shown, ""))
	if strings.ContainsFunc(rest, visible.Hidden) || shown == "" {
		t.Errorf("%s: a terminal gets %q", what, shown)
	}
}

// TestOnATerminal runs the commands on a terminal, with texts of tasks, of files and of lines of input that act on one.
func TestOnATerminal(t *testing.T) {
	s := newStage(t)
	s.worker("pi4", 4)
	var octal strings.Builder
	for _, b := range []byte(hostile) {
		fmt.Fprintf(&octal, `\%03o`, b)
	}
	printf := "printf '" + octal.String() + "'"
	_, id, errs := s.run("rc-submit", new(Submit), "", "--name", "n\u202eevil\u200b", "--shell", printf+"; "+printf+" >&2; exit 3")
	if id = strings.TrimSpace(id); id == "" {
		t.Fatal(errs)
	}
	for _, tt := range []struct {
		name, stdin string
		cmd         any
		args        []string
		raw         bool
	}{
		{"rc-submit", "", new(Submit), []string{"--wait", "--shell", printf + "; " + printf + " >&2"}, false},
		{"rc-submit", "", new(Submit), []string{"--wait", "--raw", "--shell", printf}, true},
		{"rc-submit", hostile + "\n" + hostile, new(Submit), []string{"--wait", "--each", "--", "x"}, false},
		{"rc-submit", "1\n2", new(Submit), []string{"--wait", "--each", "--shell", printf + "; : {}"}, false},
		{"rc-submit", "", new(Submit), []string{"--in", strings.ReplaceAll(hostile, "=", ""), "--", "x"}, false},
		{"rc-submit", "{\"" + hostile, new(Submit), []string{"--json"}, false},
		{"rc-logs", "", new(Logs), []string{id}, false},
		{"rc-logs", "", new(Logs), []string{"-f", "-t", id}, false},
		{"rc-logs", "", new(Logs), []string{"--raw", id}, true},
		{"rc-logs", "", new(Logs), []string{"--audit"}, false},
		{"rc-logs", "", new(Logs), []string{"--job", hostile}, false},
		{"rc-status", "", new(Status), []string{"task", id}, false},
		{"rc-status", "", new(Status), []string{"tasks"}, false},
		{"rc-status", "", new(Status), []string{"device", hostile}, false},
		{"rc-ctl", "", new(Ctl), []string{"drain", hostile}, false},
		{"rc-ctl", "", new(Ctl), []string{"token", "make", "read", "--name", hostile}, false},
		{"rc-ctl", "", new(Ctl), []string{"token", "list"}, false},
	} {
		file, shown := terminal(t)
		env := func(name string) (string, bool) {
			return map[string]string{"RC_DATA": s.dir}[name], name == "RC_DATA"
		}
		status := cli.Exec(context.Background(), tt.name, "", tt.cmd, tt.args, env, cli.Std{In: strings.NewReader(tt.stdin), Out: file, Err: file})
		what := fmt.Sprintf("%s %q (status %d)", tt.name, tt.args, status)
		if got := shown(); !tt.raw {
			checkShown(t, what, got)
		} else if !strings.Contains(got, hostile) {
			t.Errorf("%s: not as it is: %q", what, got)
		}
	}
}
