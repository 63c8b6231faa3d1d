package command

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"testing"
	"unicode/utf8"
)

// nasty are lines that a careless quoting would spoil, or run.
var nasty = []string{"", "a", "a b", "it's", `"`, `\`, `'\''`, "$(touch x)", "`id`", "$HOME", "a;b", "a&b|c>d<e", "*?[a]", "-n", "--", "~", "#x",
	"!!", "a\tb", "ä €", "{}", "{}'{}", "%s%n", "\x01\x1b[31m", "a\r", " lead and trail ", `{"a":"b"}`, "\u2028"}

func TestFillArgv(t *testing.T) {
	for _, tt := range []struct{ argv, want []string }{
		{[]string{"echo"}, []string{"echo", "x y"}},
		{[]string{"cp", "{}", "{}.bak"}, []string{"cp", "x y", "x y.bak"}},
		{[]string{"{}"}, []string{"x y"}},
		{[]string{"echo", "{", "}"}, []string{"echo", "{", "}", "x y"}},
	} {
		if got := fillArgv(tt.argv, "x y"); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.argv, got, tt.want)
		}
	}
	if got := fillArgv([]string{"{}{}"}, "{}"); !reflect.DeepEqual(got, []string{"{}{}"}) {
		t.Errorf("what was put in is no template: %q", got)
	}
}

// TestFillShell lets a real shell say what it understood.
func TestFillShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range nasty {
		script := fillShell(`printf '%s|%s' {} before{}after`, line)
		out, err := exec.Command(sh, "-c", script).Output()
		if want := line + "|before" + line + "after"; err != nil || string(out) != want {
			t.Errorf("%q: the shell made %q of %s (%v)", line, out, script, err)
		}
	}
}

func TestFillJSON(t *testing.T) {
	for _, line := range nasty {
		filled, holes := fillJSON(`{"a":"{}","b":{},"c":["<{}>","\"{}\\"],"d":{ }}`, line)
		var got struct {
			A string
			B map[string]string
			C []string
		}
		err := json.Unmarshal([]byte(filled), &got)
		if err != nil || holes != 3 || got.A != line || len(got.B) != 0 || got.C[0] != "<"+line+">" || got.C[1] != `"`+line+`\` {
			t.Errorf("%q: %s (%d holes) is %+v, %v", line, filled, holes, got, err)
		}
	}
}

func FuzzFillJSON(f *testing.F) {
	for _, line := range nasty {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if !utf8.ValidString(line) {
			return
		}
		filled, _ := fillJSON(`{"a":"\\{}\""}`, line)
		var got map[string]string
		if err := json.Unmarshal([]byte(filled), &got); err != nil || got["a"] != `\`+line+`"` {
			t.Errorf("%q: %s, %v", line, filled, err)
		}
	})
}
