package shell

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
)

// alone is a shell without a cluster.
func alone() *Shell {
	return &Shell{Open: func(string, func(error)) (*client.Client, error) { return nil, errors.New("there is no cluster here") }}
}

func run(t *testing.T, line, in string) (status int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	status = alone().Run(ctx, line, cli.Std{In: strings.NewReader(in), Out: &o, Err: &e})
	return status, o.String(), e.String()
}

func TestLines(t *testing.T) {
	const devices = "pi4|online|25.5\nattic|offline|\nkitchen|online|3.0\n"
	for _, c := range []struct {
		line, in string
		status   int
		out      string
	}{
		{"echo hello", "", 0, "hello\n"},
		{"", "", 0, ""},
		{"# nothing", "", 0, ""},
		{`echo 'a | b' "c  d" e\ f`, "", 0, "a | b c  d e f\n"},
		{"grep online | wc -l", devices, 0, "2\n"},
		{"grep -v online | cut -d '|' -f 1", devices, 0, "attic\n"},
		{"grep -c line", devices, 0, "3\n"},
		{"grep -in PI4", devices, 0, "1:pi4|online|25.5\n"},
		{"grep -o '[0-9.]*$'", devices, 0, "25.5\n3.0\n"},
		{"grep -w line || echo none", devices, 0, "none\n"},
		{"grep -q online && echo some", devices, 0, "some\n"},
		{"grep nothing", devices, 1, ""},
		{"grep -F '|offline|'", devices, 0, "attic|offline|\n"},
		{"grep -e attic -e kitchen | wc -l", devices, 0, "2\n"},
		{"grep -m1 online", devices, 0, "pi4|online|25.5\n"},
		{"cut -d'|' -f1,3-", devices, 0, "pi4|25.5\nattic|\nkitchen|3.0\n"},
		{"cut -c 1-3,5", "abcdef\n", 0, "abce\n"},
		{"head -1", devices, 0, "pi4|online|25.5\n"},
		{"head -n 2 | tail -n1", devices, 0, "attic|offline|\n"},
		{"tail -n +3", devices, 0, "kitchen|online|3.0\n"},
		{"tail -2 | head -n1", devices, 0, "attic|offline|\n"},
		{"sort", "b\na\nc\n", 0, "a\nb\nc\n"},
		{"sort -rn", "9\n10\n1.5\n", 0, "10\n9\n1.5\n"},
		{"sort -t '|' -k3nr", devices, 0, "pi4|online|25.5\nkitchen|online|3.0\nattic|offline|\n"},
		{"sort -u -k2", "1 x\n2 x\n3 y\n", 0, "1 x\n3 y\n"},
		{"sort | uniq -c", "b\na\nb\n", 0, "      1 a\n      2 b\n"},
		{"uniq -d", "a\na\nb\n", 0, "a\n"},
		{"wc", "two words\n", 0, "1 2 10\n"},
		{"tr a-z A-Z", "hello\n", 0, "HELLO\n"},
		{"tr -d '0-9\\n'", "a1b2\n", 0, "ab"},
		{"tr -s ' '", "a   b\n", 0, "a b\n"},
		{"nl", "a\n", 0, "     1\ta\n"},
		{"tee | cat", "x\n", 0, "x\n"},
		{"sed 's/on/off/'", "online on\n", 0, "offline on\n"},
		{"sed 's/ON/off/gI'", "online on\n", 0, "offline off\n"},
		{`sed 's/\([a-z]*\)4/<&>/' | sed 's|(p)i|\1\1$|'`, "pi4\n", 0, "pp$4\n"},
		{"sed -n 's,^a,b,p'", "a\nc\n", 0, "b\n"},
		{"jq .a", `{"a":[1,{"b":"x"}]}`, 0, "[\n  1,\n  {\n    \"b\": \"x\"\n  }\n]\n"},
		{"jq -c '.a[]'", `{"a":[1,{"b":"<x>"}]}`, 0, "1\n{\"b\":\"<x>\"}\n"},
		{"jq -r '.name, .n'", `{"name":"pi4","n":12345678901}` + "\n" + `{"name":"b","n":0.5}`, 0, "pi4\n12345678901\nb\n0.5\n"},
		{"jq -c '.a[0].b,.c'", `{"a":[{"b":1},{"b":2}],"c":null}`, 0, "1\nnull\n"},
		{"jq '.a[].b'", `{"a":[{"b":1},{"b":2}]}`, 0, "1\n2\n"},
		{"jq '.a[-1]'", `{"a":[1,2]}`, 0, "2\n"},
		{"for i in 1 2 3; do echo $i; done | wc -l", "", 0, "3\n"},
		{"x=5; echo $((x*2)) ${x}0", "", 0, "10 50\n"},
		{"echo {1..3} {a,b}", "", 0, "1 2 3 a b\n"},
		{"echo $(echo in; echo out) | wc -w", "", 0, "2\n"},
		{"while read l; do echo \"<$l>\"; done", "a\nb\n", 0, "<a>\n<b>\n"},
		{"if grep -q x; then echo yes; else echo no; fi", "y\n", 0, "no\n"},
		{"cat <<X\nhere\nX", "", 0, "here\n"},
		{"false && echo no; echo $?", "", 0, "1\n"},
		{"exit 3", "", 3, ""},
		{"echo quiet >/dev/null", "", 0, ""},
		{"printf '%s-%03d\\n' a 7", "", 0, "a-007\n"},
		{"case pi4 in pi*) echo board;; esac", "", 0, "board\n"},
		{"echo *", "", 0, "*\n"},
		{"help grep", "", 0, "usage: grep [-cEFinoqvwx] [-m N] PATTERN\n"},
	} {
		status, out, errs := run(t, c.line, c.in)
		if status != c.status || out != c.out {
			t.Errorf("%s: status %d, %q, %q; want %d, %q", c.line, status, out, errs, c.status, c.out)
		}
	}
}

// Nothing of the host is reached: no file, no process, no variable.
func TestNothingOfTheHost(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("treasure\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RC_TREASURE", "treasure")
	made := filepath.Join(t.TempDir(), "made")
	for _, line := range []string{
		"cat " + secret, "cat <" + secret, "cat 0<" + secret, "grep . " + secret, "head " + secret, "echo x >" + made, "echo x >>" + made, "echo x | tee " + made,
		". " + secret, "source " + secret, "eval 'cat <" + secret + "'", "exec cat " + secret, "command cat " + secret, "builtin source " + secret, "mapfile x <" + secret, "read x <" + secret + "; echo $x",
		"x=$(<" + secret + "); echo $x", "/bin/cat " + secret, "./x", "sh -c 'cat " + secret + "'", "ls /", "cd /; pwd", "pushd /", "echo /etc/*", "echo ~root", "[ -e " + secret + " ] && echo treasure", "test -f " + secret + " && echo treasure",
		"cat <(echo x)", "echo x > >(cat)", "echo x & wait", "coproc cat", "trap 'echo x' EXIT", "kill 1", "ulimit -a", "umask", "type cat", "hash", "alias x=y", "shopt", "dirs", "times",
		"echo $RC_TREASURE", "env", "export", "declare -p", "printenv", "set", "jq -n env", "jq 'input_filename'", "jq 'import \"x\" as x; .'", "jq '$ENV'", "sed -i s/a/b/ " + secret, "sed 'w " + made + "'", "sed 's/x/y/w " + made + "'", "sed 's/x/id/e'", "sort -o " + made + " " + secret,
		"rc-submit --in " + secret + " -- true", "rc-submit --type echo --payload @" + secret, "rc-logs --get t7k3f9q2m " + made, "rc-status --token-file " + secret, "rc-status --data /var/lib/retire-cluster", "rc-status --main evil:1 --pin x",
		"RC_TOKEN_FILE=" + secret + " rc-status", "RC_DATA=/x rc-status", "RC_MAIN=evil:1 rc-status", "rc-mained", "rc-workerd", "rc-web",
	} {
		_, out, errs := run(t, line, "")
		if strings.Contains(out+errs, "treasure") || strings.Contains(out, "/root") || strings.Contains(out, "root:") || strings.Contains(out, "/etc/passwd") {
			t.Errorf("%s: %q %q", line, out, errs)
		}
		if _, err := os.Stat(made); err == nil {
			t.Fatalf("%s made a file", line)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "treasure\n" {
		t.Errorf("%q %v", b, err)
	}
}

func TestWhatIsNotForHere(t *testing.T) {
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"ls":                                   {127, `"ls": no such command; see help`},
		"cd /":                                 {126, "cd is not for here"},
		"echo a >file":                         {1, "there are no files here: pipe it"},
		"echo 'a":                              {2, "without closing quote"},
		"echo |":                               {2, "|"},
		"sleep 1 &":                            {2, "a task runs by itself"},
		"cat <(echo)":                          {2, "use a pipe"},
		"grep '('":                             {2, "missing closing )"},
		"grep":                                 {0, ""},
		"sed d":                                {2, "this sed replaces"},
		"cut -f 0":                             {2, "numbers from 1"},
		"head -n x":                            {64, ""},
		"wc --frob":                            {64, "unknown flag --frob"},
		"jq '.a |'":                            {2, "no more of what jq does"},
		"f() { f; }; f":                        {2, "functions are not for here"},
		"echo $$":                              {2, "$$ is not for here"},
		"echo $UID":                            {2, "$UID is not for here"},
		"echo ${x//a/b}":                       {2, "use sed"},
		"echo x | tail -n 9223372036854775807": {64, "at most 1048576"},
		"true" + strings.Repeat("|cat", 100):   {2, "more than 64 commands"},
		"echo " + strings.Repeat("{", 5000):    {2, "more than 64 braces"},
		strings.Repeat("( ", 600) + "true" + strings.Repeat(" )", 600): {2, "nested too deep"},
		"echo" + strings.Repeat(" {1..9999}", 60):                      {2, "more than 10000 words"},
		"echo x | jq .":                        {65, "not JSON"},
		"rc-status":                            {1, "there is no cluster here"},
		"devices list":                         {1, "there is no cluster here"},
		"rc-status --frob":                     {64, "unknown flag"},
		"echo {1..100000}":                     {2, "more than 10000 words"},
		"echo {1..500}{1..500}":                {2, "more than 10000 words"},
		"echo {1..99999999999999999}":          {2, "more than 10000 words"},
		"printf %999999999d 1":                 {126, "so wide a field"},
		"echo " + strings.Repeat("x", MaxLine): {2, "at most"},
		"rc-submit --in x -- true":             {77, "there are no files here"},
		"rc-status --main x":                   {77, "the cluster's own terminal"},
		"rc-logs --get t7k3f9q2m":              {1, "there is no cluster here"},
	} {
		status, out, errs := run(t, line, "")
		if line == "grep" {
			continue // an empty pattern matches every line, of which there is none here
		}
		if status != want.status || !strings.Contains(errs, want.says) {
			t.Errorf("%.60s: status %d, %q, %q; want %d, %q", line, status, out, errs, want.status, want.says)
		}
	}
}

// The words of the first Retire-Cluster's terminal are commands of today, with what they need behind them.
func TestFirstWords(t *testing.T) {
	for words := range firstWords {
		var said []string
		for _, more := range []string{"", " t7k3f9q2m", " echo hello"} {
			_, _, errs := run(t, words+more, "")
			said = append(said, errs)
		}
		if !strings.Contains(strings.Join(said, ""), "there is no cluster here") {
			t.Errorf("%s: %q", words, said)
		}
	}
}

// A line that never ends, or that wants all memory, ends.
func TestLinesEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if status := alone().Run(ctx, "while :; do :; done", cli.Std{}); status != 130 || time.Since(began) > 10*time.Second {
		t.Errorf("status %d after %v", status, time.Since(began))
	}
	var errs bytes.Buffer
	if status := alone().Run(t.Context(), "x=0123456789; while :; do x=$x$x; done", cli.Std{Err: &errs}); status == 0 || !strings.Contains(errs.String(), "memory") {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

// FuzzLine looks for lines that reach the host, or that panic.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"echo a | grep b", "for i in 1 2; do echo $i; done", "cat <<X\n$(echo x)\nX", "sed 's/a/b/g'", "tr a-z A-Z", "x=${y:-{1..3}}", "jq '.[] | .a'", "sort -k2,3n -t,", "[[ a =~ b ]] && echo c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var out bytes.Buffer
		status := alone().Run(ctx, line, cli.Std{In: strings.NewReader("a b\nc d\n"), Out: &limited{&out}, Err: &limited{&out}})
		if status < 0 || status > 255 {
			t.Errorf("status %d", status)
		}
	})
}

// limited keeps the first mebibyte.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len() < 1<<20 {
		l.Buffer.Write(p)
	}
	return len(p), nil
}
