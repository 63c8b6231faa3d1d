package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// worker is a daemon as the tests see it.
type worker struct {
	cli.Config
	cli.Logging
	Main   string            `env:"RC_MAIN" placeholder:"ADDR" help:"Address of the main node."`
	Slots  int               `default:"2" short:"s" help:"Tasks at a time." reload:"yes"`
	Memory cli.Bytes         `default:"1GiB" help:"Memory for tasks."`
	Grace  cli.Duration      `default:"1d" help:"How long to drain."`
	Listen []string          `help:"Addresses to listen on."`
	Ports  []int             `help:"Ports to listen on."`
	Labels map[string]string `help:"Labels of this device."`
	Mode   string            `default:"fair" enum:"fair,fast" help:"How tasks are chosen."`
	Quiet  bool              `help:"Say little."`

	run func(*worker, context.Context, cli.Std, cli.Reparse, *slog.Logger) error
}

func (w *worker) Run(ctx context.Context, std cli.Std, again cli.Reparse, log *slog.Logger) error {
	return w.run(w, ctx, std, again, log)
}

// call runs a worker and returns its status and what it printed.
func call(w *worker, env map[string]string, args ...string) (status int, out, errs string) {
	return execute(context.Background(), w, env, args...)
}

func execute(ctx context.Context, cmd any, env map[string]string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	lookup := func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
	status = cli.Exec(ctx, "rc-workerd", "Run tasks for a main node.", cmd, args, lookup, cli.Std{Out: &o, Err: &e})
	return status, o.String(), e.String()
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func printSettings(w *worker, _ context.Context, std cli.Std, _ cli.Reparse, _ *slog.Logger) error {
	_, err := fmt.Fprintln(std.Out, w.Main, w.Slots, w.Memory, w.Grace, w.Listen, w.Ports, w.Labels, w.Mode, w.Quiet, w.LogLevel)
	return err
}

func TestPrecedence(t *testing.T) {
	conf := `{"main": "file", "slots": 3, "memory": 1024, "grace": "7d", "listen": ["a,b", "c"], "ports": [1, 2],
		"labels": {"room": "attic"}, "mode": "fast", "quiet": true, "log-level": "debug"}`
	tests := []struct {
		name, conf string
		env        map[string]string
		args, want string
	}{
		{name: "defaults", want: " 2 1GiB 1d [] [] map[] fair false INFO"},
		{name: "file", conf: conf, want: "file 3 1KiB 7d [a,b c] [1 2] map[room:attic] fast true DEBUG"},
		{name: "environment beats file", conf: conf, env: map[string]string{"RC_MAIN": "env", "RC_WORKERD_SLOTS": "4",
			"RC_WORKERD_LOG_LEVEL": "warn", "RC_WORKERD_QUIET": "false", "RC_WORKERD_LISTEN": "x,y"},
			want: "env 4 1KiB 7d [x y] [1 2] map[room:attic] fast false WARN"},
		{name: "flag beats both", conf: conf, env: map[string]string{"RC_MAIN": "env", "RC_WORKERD_SLOTS": "4"},
			args: "--main flag -s 5 --listen z", want: "flag 5 1KiB 7d [z] [1 2] map[room:attic] fast true DEBUG"},
		{name: "empty is unset", conf: `{"slots": 3}`, env: map[string]string{"RC_MAIN": "", "RC_WORKERD_SLOTS": ""},
			want: " 3 1GiB 1d [] [] map[] fair false INFO"},
		{name: "derived name gives way to explicit", env: map[string]string{"RC_WORKERD_MAIN": "wrong"},
			want: " 2 1GiB 1d [] [] map[] fair false INFO"},
		{name: "empty list", conf: `{"listen": [], "ports": []}`, want: " 2 1GiB 1d [] [] map[] fair false INFO"},
	}
	t.Setenv("RC_MAIN", "the process") // never asked
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			if tt.conf != "" {
				args = append(args, "--config", file(t, tt.conf))
			}
			status, out, errs := call(&worker{run: printSettings}, tt.env, args...)
			if status != 0 || strings.TrimSuffix(out, "\n") != tt.want || errs != "" {
				t.Errorf("status %d, stdout %q, stderr %q; want %q", status, out, errs, tt.want)
			}
		})
	}
}

func TestRefusedSettings(t *testing.T) {
	tests := []struct {
		name, conf, args string
		env              map[string]string
		status           int
		want             string
	}{
		{"unknown key", "{\n\"slots\": 1,\n\"log_levl\": \"debug\"}", "", nil, 78, `conf.json:3: unknown setting "log_levl", did you mean "log_level"?`},
		{"unknown far", `{"elephant": 1}`, "", nil, 78, `conf.json:1: unknown setting "elephant"` + "\n"},
		{"no help in file", `{"help": true}`, "", nil, 78, `unknown setting "help"`},
		{"twice", "{\"log_level\": \"info\",\n\n\"log-level\": \"info\"}", "", nil, 78, `conf.json:3: "log_level" is set twice`},
		{"wrong type", "{\n\"slots\": \"3\"}", "", nil, 78, "conf.json:2: slots: expected a number, got a string"},
		{"wrong bool", `{"quiet": "yes"}`, "", nil, 78, "conf.json:1: quiet: expected true or false, got a string"},
		{"wrong list", `{"listen": "a"}`, "", nil, 78, "conf.json:1: listen: expected an array, got a string"},
		{"wrong item", `{"ports": [1, "b"]}`, "", nil, 78, "conf.json:1: ports: item 2: expected a number, got a string"},
		{"wrong map", `{"labels": ["a"]}`, "", nil, 78, "conf.json:1: labels: expected an object, got an array"},
		{"null", `{"main": null}`, "", nil, 78, "conf.json:1: main: expected a string, got null"},
		{"fraction", `{"slots": 1.5}`, "", nil, 78, `conf.json:1: slots: expected a valid`},
		{"enum", `{"mode": "slow"}`, "", nil, 78, `conf.json:1: mode: must be one of fair, fast but got "slow"`},
		{"size", `{"memory": "9x"}`, "", nil, 78, `conf.json:1: memory: size "9x": unknown unit "x", use KiB, MiB, GiB or TiB`},
		{"garbage", "{}\n}", "", nil, 78, "conf.json:2: invalid character"},
		{"no object", `[]`, "", nil, 78, "conf.json:1: expected an object"},
		{"empty", ``, "", nil, 78, "conf.json:1: unexpected end of JSON input"},
		{"missing file", "", "--config absent.json", nil, 78, "rc-workerd: absent.json: read configuration: "},
		{"variable", "", "", map[string]string{"RC_WORKERD_SLOTS": "x"}, 64, "rc-workerd: RC_WORKERD_SLOTS: expected a valid"},
		{"variable enum", "", "", map[string]string{"RC_WORKERD_MODE": "x"}, 64, "RC_WORKERD_MODE: must be one of fair, fast"},
		{"flag", "", "--mainn x", nil, 64, "rc-workerd: unknown flag --mainn, did you mean --main? (see rc-workerd --help)\n"},
		{"argument", "", "x", nil, 64, "rc-workerd: unexpected argument x (see rc-workerd --help)\n"},
		{"value", "", "--slots=x", nil, 64, "rc-workerd: --slots: expected a valid"},
		{"enum flag", "", "--mode=x", nil, 64, "rc-workerd: --mode must be one of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			if tt.conf != "" || tt.name == "empty" {
				args = append(args, "--config", file(t, tt.conf))
			}
			status, out, errs := call(&worker{run: printSettings}, tt.env, args...)
			if status != tt.status || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, %q", status, out, errs, tt.status, tt.want)
			}
		})
	}
}

// kindError carries a status and a hint without knowing cli.
type kindError struct{}

func (kindError) Error() string   { return "main node m:1 does not answer" }
func (kindError) ExitStatus() int { return 69 }
func (kindError) Hint() string    { return "is rc-mained running?" }

// foreignHint has words of another machine in its advice.
type foreignHint struct{}

func (foreignHint) Error() string { return "no" }
func (foreignHint) Hint() string  { return "ask \x1b]0;x\a" }

func TestExitStatus(t *testing.T) {
	cut, cancel := context.WithCancelCause(context.Background())
	cancel(&cli.SignalError{Signal: syscall.SIGINT})
	tests := []struct {
		name   string
		ctx    context.Context
		err    error
		status int
		errs   string
	}{
		{"done", nil, nil, 0, ""},
		{"failed", nil, errors.New("no"), 1, "rc-workerd: no\n"},
		{"status", nil, fmt.Errorf("submit: %w", cli.Exit(65, errors.New("line 3"))), 65, "rc-workerd: submit: line 3\n"},
		{"only status", nil, cli.Exit(124, nil), 124, ""},
		{"quiet", nil, &cli.ExitError{Status: 3, Err: errors.New("x"), Quiet: true}, 3, ""},
		{"foreign", nil, fmt.Errorf("list: %w", kindError{}), 69,
			"rc-workerd: list: main node m:1 does not answer\nrc-workerd: hint: is rc-mained running?\n"},
		{"canceled otherwise", nil, context.Canceled, 1, "rc-workerd: context canceled\n"},
		{"interrupted", cut, fmt.Errorf("wait: %w", context.Canceled), 130, ""},
		{"cause", cut, context.Cause(cut), 130, ""},
		{"failed while interrupted", cut, errors.New("no"), 1, "rc-workerd: no\n"},
		{"drained", cut, nil, 0, ""},
		{"pipe", nil, io.ErrClosedPipe, 0, ""},
		{"stdout", nil, &os.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}, 0, ""},
		{"socket", nil, &os.SyscallError{Syscall: "write", Err: syscall.EPIPE}, 1, "rc-workerd: write: broken pipe\n"},
		{"not its own", nil, errors.New("open \x1b[2J\u202e\u200b\n\rrc-workerd: done\xff"), 1, "rc-workerd: open ␛[2J<U+202E><U+200B>␊␍rc-workerd: done\ufffd\n"},
		{"hint of others", nil, foreignHint{}, 1, "rc-workerd: no\nrc-workerd: hint: ask ␛]0;x␇\n"},
		{"secret", nil, errors.New(`join with "rcj1_ABC_def"`), 1, "rc-workerd: join with \"rcj1_…\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ctx == nil {
				tt.ctx = context.Background()
			}
			run := func(*worker, context.Context, cli.Std, cli.Reparse, *slog.Logger) error { return tt.err }
			status, out, errs := execute(tt.ctx, &worker{run: run}, nil)
			if status != tt.status || out != "" || errs != tt.errs {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, %q", status, out, errs, tt.status, tt.errs)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	status, out, errs := call(&worker{}, nil, "--version")
	if status != 0 || out != "rc-workerd "+cli.Version+"\n" || errs != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

func TestHelp(t *testing.T) {
	status, out, errs := call(&worker{}, nil, "--help")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	t.Logf("\n%s", out)
	for _, want := range []string{"rc-workerd - Run tasks", "--main ADDR", "$RC_MAIN", "-s, --slots N", "default 2", "--mode fair|fast", "--[no-]"} {
		if strings.Contains(out, want) == (want == "--[no-]") {
			t.Errorf("help has or lacks %q", want)
		}
	}
	fits(t, out)
}

func fits(t *testing.T, help string) {
	t.Helper()
	for line := range strings.Lines(help) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 || strings.HasSuffix(line, " \n") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// control has sub-commands, as rc-ctl.
type control struct {
	Main   string `env:"RC_MAIN" help:"Address of the main node."`
	Serve  serve  `cmd:"" default:"withargs" help:"Serve."`
	Invite invite `cmd:"" help:"Make a join code."`
	Token  struct {
		Add struct {
			Role string `arg:"" help:"What it may do."`
		} `cmd:"" help:"Make a token."`
	} `cmd:"" help:"Tokens."`
}

type serve struct {
	cli.Config
	cli.Logging
	Listen string `default:":1" help:"Address to listen on."`
}

func (s *serve) Run(std cli.Std, again cli.Reparse) error {
	fresh := new(serve)
	if err := again(fresh); err != nil {
		return err
	}
	_, err := fmt.Fprintln(std.Out, "serve", s.Listen, reflect.DeepEqual(s, fresh))
	return err
}

type invite struct {
	Device string `arg:"" optional:"" help:"Name of the device."`
	Force  bool   `help:"Even if there is one."`
}

func (i *invite) Run(c *control, std cli.Std) error {
	_, err := fmt.Fprintln(std.Out, "invite", c.Main, i.Device, i.Force)
	return err
}

func (*invite) Help() string { return "Example:\n  rc-workerd invite attic" }

func TestSubcommands(t *testing.T) {
	conf := file(t, `{"listen": ":9", "main": "f"}`)
	tests := []struct {
		args   string
		status int
		want   string
	}{
		{"", 0, "serve :1 true\n"},
		{"--listen :2", 0, "serve :2 true\n"},
		{"--config " + conf, 0, "serve :9 true\n"},
		{"serve --listen :2", 0, "serve :2 true\n"},
		{"invite --main m attic --force", 0, "invite m attic true\n"},
		{"--main m invite", 0, "invite m  false\n"},
		{"token", 64, ""},
		{"token add", 64, ""},
	}
	for _, tt := range tests {
		status, out, errs := execute(context.Background(), new(control), nil, strings.Fields(tt.args)...)
		if status != tt.status || out != tt.want {
			t.Errorf("%q: status %d, stdout %q, stderr %q; want %d, %q", tt.args, status, out, errs, tt.status, tt.want)
		}
	}
	for _, args := range []string{"--help", "invite --help", "token --help", "token add -h"} {
		status, out, errs := execute(context.Background(), new(control), nil, strings.Fields(args)...)
		if status != 0 || errs != "" || !strings.Contains(out, "Usage: rc-workerd") {
			t.Errorf("%q: status %d, stderr %q", args, status, errs)
		}
		t.Logf("%s\n%s", args, out)
		fits(t, out)
	}
}

func TestReparse(t *testing.T) {
	path := file(t, `{"slots": 3, "mode": "fair"}`)
	run := func(w *worker, _ context.Context, _ cli.Std, again cli.Reparse, _ *slog.Logger) error {
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(`{"slots": 4, "mode": "fast", "memory": "2GiB", "log_level": "debug"}`)
		fresh := new(worker)
		if err := again(fresh); err != nil {
			return err
		}
		live, restart := cli.Changed(w, fresh)
		if got := fmt.Sprint(live, restart); got != "[log_level slots] [mode]" {
			t.Errorf("changed %s", got)
		}
		write(`{"slots": "many"}`)
		bad := new(worker)
		if err := again(bad); err == nil || !strings.Contains(err.Error(), "conf.json:1: slots") {
			t.Errorf("bad file: %v", err)
		}
		if bad.Slots != 0 || w.Slots != 3 {
			t.Errorf("slots %d and %d after a bad file", bad.Slots, w.Slots)
		}
		return nil
	}
	if status, _, errs := call(&worker{run: run}, nil, "--config", path, "--memory", "3GiB"); status != 0 {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

func TestBytesNotUTF8(t *testing.T) {
	var cmd rawBytes
	if status, out, errs := execute(context.Background(), &cmd, nil, "--name", "a\xff", "b\xfe", "c\xfd"); status != 0 || out != "a\xffb\xfec\xfd" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

type rawBytes struct {
	Name string
	Args []string `arg:""`
}

func (r *rawBytes) Run(std cli.Std) error {
	_, err := io.WriteString(std.Out, r.Name+strings.Join(r.Args, ""))
	return err
}
