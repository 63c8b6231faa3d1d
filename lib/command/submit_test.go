package command

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// call runs a command as a process would, with no main node anywhere near.
func call(t *testing.T, name string, cmd any, stdin string, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	env := map[string]string{"RC_DATA": t.TempDir()}
	lookup := func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
	status = cli.Exec(context.Background(), name, "", cmd, args, lookup, cli.Std{In: strings.NewReader(stdin), Out: &o, Err: &e})
	return status, o.String(), e.String()
}

// specsOf gives the payloads of what would be submitted.
func specsOf(t *testing.T, stdin string, args ...string) (payloads []string, err error) {
	t.Helper()
	var got specCommand
	status, _, errs := call(t, "rc-submit", &got, stdin, args...)
	if status != 0 && got.err == nil {
		t.Fatalf("%q: %s", args, errs)
	}
	return got.payloads, got.err
}

// specCommand is rc-submit up to the point where it would dial.
type specCommand struct {
	Spec
	payloads []string
	err      error
}

func (s *specCommand) Run(std cli.Std) error {
	specs, err := s.specs(std.In)
	for i := range specs {
		s.payloads = append(s.payloads, specs[i].Type+" "+string(specs[i].Payload))
	}
	s.err = err
	return err
}

func TestSpecs(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"command", "", []string{"--", "ls", "-l"}, `command {"argv":["ls","-l"]}`},
		{"without dashes", "", []string{"ls", "--wait"}, `command {"argv":["ls","--wait"]}`},
		{"inner dashes", "", []string{"--", "a", "--", "-x"}, `command {"argv":["a","--","-x"]}`},
		{"shell", "", []string{"--shell", "a | b <c>"}, `shell {"script":"a | b <c>"}`},
		{"environment", "", []string{"--env", "A=1;2,3", "--env", "B==", "x"}, `command {"argv":["x"],"environment":{"A":"1;2,3","B":"="}}`},
		{"payload", "", []string{"--type", "echo", "--payload", `{"message":"x"}`}, `echo {"message":"x"}`},
		{"payload of stdin", `{"message":"y"}`, []string{"--type", "echo", "--payload", "-"}, `echo {"message":"y"}`},
		{"no payload", "", []string{"--type", "system_info"}, `system_info {}`},
		{"custom with environment", "", []string{"--type", "resize", "--payload", `{"environment":{"A":"0"},"z":1}`, "--env", "B=2"}, `resize {"environment":{"A":"0","B":"2"},"z":1}`},
		{"each", "a b\nc", []string{"--each", "--", "echo"}, `command {"argv":["echo","a b"]}` + "\n" + `command {"argv":["echo","c"]}`},
		{"each empty line", "\n", []string{"--each", "--", "echo", "<{}>"}, `command {"argv":["echo","<>"]}`},
		{"each shell", "it's\n", []string{"--each", "--shell", "cat {}"}, `shell {"script":"cat 'it'\\''s'"}`},
		{"each payload", `"` + "\n", []string{"--each", "--type", "echo", "--payload", `{"message":"{}"}`}, `echo {"message":"\""}`},
		{"each of nothing", "", []string{"--each", "--", "echo"}, ``},
		{"json", `{"task_type":"echo","payload":{"message":"x"}}` + "\n\n", []string{"--json"}, `echo {"message":"x"}`},
		{"json environment", `{"task_type":"shell","payload":{"script":"x"}}`, []string{"--json", "--env", "A=1"}, `shell {"environment":{"A":"1"},"script":"x"}`},
	} {
		got, err := specsOf(t, tt.stdin, tt.args...)
		if text := strings.Join(got, "\n"); err != nil || text != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, text, err, tt.want)
		}
	}
}

func TestRefusedSubmissions(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		args        []string
		status      int
		want        string
	}{
		{"nothing", "", nil, 64, "give one of"},
		{"two things", "", []string{"--shell", "x", "--", "y"}, 64, "give one of"},
		{"payload without type", "", []string{"--payload", "{}", "x"}, 64, "goes with --type"},
		{"stdin twice", "", []string{"--each", "--type", "echo", "--payload", "-"}, 64, "stdin"},
		{"no hole", "a\n", []string{"--each", "--shell", "date"}, 64, "{}"},
		{"no hole in payload", "a\n", []string{"--each", "--type", "echo", "--payload", `{"environment":{}}`}, 64, `"{}"`},
		{"requirement", "", []string{"--require", "cpu=x", "ls"}, 64, "cpu=x"},
		{"two devices", "", []string{"--require", "device=a", "--device", "b", "ls"}, 64, "--device b"},
		{"ordered", "", []string{"--ordered", "ls"}, 64, "--wait"},
		{"payload file", "", []string{"--type", "echo", "--payload", "@nowhere"}, 65, "nowhere"},
		{"payload", "", []string{"--type", "echo", "--payload", "[]"}, 65, "not a JSON object"},
		{"misspelt payload", "", []string{"--type", "echo", "--payload", `{"mesage":""}`}, 65, "mesage"},
		{"line 3", "a\nb\n\xff\n", []string{"--each", "--", "x"}, 65, "line 3: not UTF-8"},
		{"name of line 2", "a\nb\x01\n", []string{"--each", "--name", "{}", "--", "x"}, 65, "line 2: not a valid task: name"},
		{"NUL", "a\nb\x00\n", []string{"--each", "--", "x"}, 65, "line 2: not a valid task: payload.argv: has a NUL"},
		{"long line", strings.Repeat("x", maxLine+10), []string{"--each", "--", "x"}, 65, "line 1: longer"},
		{"unknown field", `{"task_type":"echo","payload":{"message":""}}` + "\n" + `{"task_tipe":"echo"}`, []string{"--json"}, 65, `line 2: unknown field "task_tipe"`},
		{"no JSON", "x\n", []string{"--json"}, 65, "line 1: at byte 0: no JSON value begins so"},
		{"two on a line", `{"task_type":"system_info"} {}`, []string{"--json"}, 65, "line 1: at byte 28: something stands behind"},
		{"garbage after", `{"task_type":"system_info"}}`, []string{"--json"}, 65, "line 1: "},
		{"no type", "\n{}\n", []string{"--json"}, 65, "line 2: not a valid task: task_type"},
		{"no main node", "", []string{"ls"}, 69, "no main node on this host"},
	} {
		status, out, errs := call(t, "rc-submit", new(Submit), tt.stdin, tt.args...)
		if status != tt.status || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: status %d, stdout %q, stderr %q; want %d, %q", tt.name, status, out, errs, tt.status, tt.want)
		}
	}
}

// TestTagsOfTheFlags sees to it that lines do not write into what they share.
func TestTagsOfTheFlags(t *testing.T) {
	s := Spec{JSON: true, Require: []string{"tag=a", "tag=b"}}
	specs, err := s.specs(strings.NewReader(`{"task_type":"system_info","requirements":{"tags":["x"]}}` + "\n" + `{"task_type":"system_info"}`))
	if err != nil || len(specs) != 2 || strings.Join(specs[0].Requirements.Tags, " ") != "x" || strings.Join(specs[1].Requirements.Tags, " ") != "a b" {
		t.Errorf("%+v, %v", specs, err)
	}
}
