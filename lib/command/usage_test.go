package command

import (
	"strings"
	"testing"
)

// TestRefusedBeforeDialling checks what is found wrong without a main node.
func TestRefusedBeforeDialling(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cmd    any
		args   string
		status int
		want   string
	}{
		{"rc-status", new(Status), "task nosuch", 65, "not a task or job id"},
		{"rc-status", new(Status), "tasks --job t1", 65, "not a task or job id"},
		{"rc-status", new(Status), "tasks --state asleep", 64, "asleep"},
		{"rc-status", new(Status), "tasks --since yesterday", 64, "yesterday"},
		{"rc-status", new(Status), "-o yaml", 64, "yaml"},
		{"rc-status", new(Status), "", 69, "hint: start rc-mained"},
		{"rc-logs", new(Logs), "nosuch", 65, "not a task or job id"},
		{"rc-logs", new(Logs), "t123 -n 3", 64, "for the log"},
		{"rc-logs", new(Logs), "-t", 64, "name them"},
		{"rc-logs", new(Logs), "--level loud", 64, "loud"},
		{"rc-ctl", new(Ctl), "cancel", 64, "say which tasks"},
		{"rc-ctl", new(Ctl), "cancel nosuch", 65, "not a task or job id"},
		{"rc-ctl", new(Ctl), "retry --job x", 65, "not a task or job id"},
		{"rc-ctl", new(Ctl), "token make king", 64, "king"},
		{"rc-ctl", new(Ctl), "ping --token-file nowhere", 78, "nowhere"},
		{"rc-ctl", new(Ctl), "ping", 69, "no main node"},
		{"rc-ctl", new(Ctl), "", 64, ""},
	} {
		status, out, errs := call(t, tt.name, tt.cmd, "", strings.Fields(tt.args)...)
		if status != tt.status || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%s %s: status %d, stdout %q, stderr %q; want %d, %q", tt.name, tt.args, status, out, errs, tt.status, tt.want)
		}
	}
}

func TestHelpFits(t *testing.T) {
	for name, cmd := range map[string]any{"rc-submit": new(Submit), "rc-status": new(Status), "rc-logs": new(Logs), "rc-ctl": new(Ctl)} {
		status, out, errs := call(t, name, cmd, "", "--help")
		if status != 0 || errs != "" {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 81 {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
