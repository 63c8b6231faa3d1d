package command

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestEnded(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, tt := range []struct {
		state  task.State
		code   *int
		reason string
		status int
		text   string
	}{
		{task.Completed, code(0), "", 0, ""},
		{task.Completed, nil, "something was left behind", 0, ""},
		{task.Failed, code(3), "", 3, ""},
		{task.Failed, code(3), "exit status 3", 3, ""},
		{task.Failed, code(127), "no such program", 127, "t00000000: failed: no such program"},
		{task.Failed, code(256), "", 255, ""},
		{task.Failed, code(-1), "", 255, ""},
		{task.Failed, nil, "lost_limit: 3 devices", 125, "t00000000: failed: lost_limit: 3 devices"},
		{task.TimedOut, code(124), "", 124, "t00000000: timed out"},
		{task.Cancelled, nil, "cancelled by\x1b[2J me", 125, "t00000000: cancelled by\x1b[2J me"},
	} {
		err := ended(&task.Task{State: tt.state, ExitCode: tt.code, Reason: tt.reason})
		e, _ := errors.AsType[*cli.ExitError](err)
		switch {
		case tt.status == 0:
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
		case e == nil || e.Status != tt.status || tt.text == "" && e.Err != nil || tt.text != "" && e.Error() != tt.text:
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestPrintingValues(t *testing.T) {
	for _, tt := range []struct{ taskType, printed, want string }{
		{task.TypeEcho, "x", "x\n"},
		{task.TypeEcho, "x\n", "x\n"},
		{task.TypeEcho, "", ""},
		{task.TypeCommand, "x", "x"},
	} {
		var out bytes.Buffer
		p := newPrinting(cli.Std{Out: &out, Err: &out}, false)
		p.chunk(&task.Chunk{Stream: task.Stdout, Data: []byte(tt.printed)})
		if err := p.end(tt.taskType); err != nil || out.String() != tt.want {
			t.Errorf("%s %q: %q, %v", tt.taskType, tt.printed, out.String(), err)
		}
	}
}

func TestHeldInOrder(t *testing.T) {
	var h held
	for _, i := range []int{2, 0, 3} {
		h.add(i, &ending{id: task.ID(i)})
	}
	var got []task.ID
	for e := h.due(); e != nil; e = h.due() {
		got = append(got, e.id)
	}
	h.add(1, &ending{id: 1})
	for e := h.due(); e != nil; e = h.due() {
		got = append(got, e.id)
	}
	for i, id := range got {
		if id != task.ID(i) || len(got) != 4 {
			t.Errorf("%v", got)
		}
	}
}

func TestStamp(t *testing.T) {
	begun := time.Date(2026, 1, 15, 10, 30, 0, 0, time.UTC)
	k := newClock(nil, &task.Task{Attempts: []task.Attempt{{Number: 1, Started: &begun}}})
	var got []byte
	for _, p := range []client.Piece{
		{Attempt: 1, Chunk: task.Chunk{Stream: task.Stdout, Data: []byte("a\nb")}},
		{Attempt: 1, Chunk: task.Chunk{Stream: task.Stderr, After: 1500 * time.Millisecond, Data: []byte("e\n")}},
		{Attempt: 1, Chunk: task.Chunk{Stream: task.Stdout, After: 2 * time.Second, Data: []byte("c\n\n")}},
	} {
		got = append(got, k.stamp(t.Context(), &p)...)
	}
	const at = "2026-01-15T10:30:0"
	want := at + "0.000Z a\n" + at + "0.000Z b" + at + "1.500Z e\n" + "c\n" + at + "2.000Z \n"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNote prints a line of a command's own where a task has stopped within a sequence, and within a line that is longer than a terminal is given.
func TestNote(t *testing.T) {
	for _, printed := range []string{"\x1b[31", "\xe6\x97", strings.Repeat("x", 9000)} {
		var errs bytes.Buffer
		p := newPrinting(cli.Std{Out: io.Discard, Err: &errs}, false)
		p.guard(1)
		if err := p.chunk(&task.Chunk{Stream: task.Stderr, Data: []byte(printed)}); err != nil {
			t.Fatal(err)
		}
		if err := p.note("rc-submit: %s begins anew", "\x1b[2Jt1\n"); err != nil {
			t.Fatal(err)
		}
		if got := errs.String(); !strings.HasSuffix(got, "rc-submit: ␛[2Jt1␊ begins anew\n") {
			t.Errorf("after %.10q: %.200q", printed, got)
		}
	}
}
