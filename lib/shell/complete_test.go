package shell

import (
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	for line, want := range map[string]struct {
		from  int
		words string
	}{
		"rc-st":                         {0, "rc-status"},
		"rc-status de":                  {10, "devices device"},
		"rc-status devices | gr":        {20, "grep"},
		"echo x; rc-l":                  {8, "rc-logs"},
		"x=$(rc-c":                      {0, ""}, // within a word: nothing is guessed
		"rc-ctl ":                       {7, "cancel retry drain undrain wake approve remove invite token rotate-key ping"},
		"rc-ctl token ":                 {13, "make list revoke"},
		"rc-ctl token make --e":         {18, "--expires --exec"},
		"rc-submit --pri":               {10, "--priority"},
		"rc-submit --in":                {10, ""}, // a file
		"rc-status --ma":                {10, ""}, // another cluster
		"devices ":                      {8, "list remove show"},
		"tasks s":                       {6, "show submit"},
		"grep --":                       {5, ""},
		"nonsense ":                     {9, ""},
		"for d in $(rc-status devices)": {20, ""},
	} {
		from, words := alone().Complete(t.Context(), line)
		if from != want.from && len(words) > 0 || strings.Join(words, " ") != want.words {
			t.Errorf("%q: %d %q, want %d %q", line, from, words, want.from, want.words)
		}
	}
	if _, words := alone().Complete(t.Context(), ""); !slices.Contains(words, "help") || !slices.Contains(words, "rc-submit") || !slices.IsSorted(words) {
		t.Errorf("%q", words)
	}
}
