package executor

import (
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestNewestLine(t *testing.T) {
	long := strings.Repeat("é", 150)
	for in, want := range map[string]string{
		"": "", "\n\n": "", "1%\n2%\n": "2%", "1%\n2": "2", " 5 % \r\n": "5 %", "1%\r2%\r": "2%", "a\n \n": "a",
		"\xff\n": "\uFFFD", long: long[:mostProgress],
	} {
		if got := newestLine([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What one attempt has said and nobody has read is not taken for the next one's; what it prints is something else.
func TestProgress(t *testing.T) {
	b := newBench(t, Options{})
	var said []string
	run := func(script string) {
		a := attempt(t, "shell", task.Shell{Script: script})
		a.Progress = func(text string) { said = append(said, text) }
		check(t, b.do(t.Context(), a), task.AttemptCompleted, 0, "")
	}
	run("echo early >&3; echo printed")
	b.printed("printed\n", "")
	run("sleep 0.3; echo 50% >$RC_PROGRESS; sleep 0.5; echo 60% >&3; echo 70% >&3; sleep 0.5")
	if got := strings.Join(said, " "); got != "50% 70%" {
		t.Errorf("%q", got)
	}
}
