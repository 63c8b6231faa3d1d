// Package testscripts tests whole clusters: the real programs, each in a process of its own, on the stories of those
// who use them. README.md tells how a script is written.
package testscripts

import (
	"flag"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the programs print into the scripts")

// TestMain lets more scripts run at a time than there are processors: they wait more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "6")
	}
	if signal.Ignored(os.Interrupt) { // as in the background of a shell; programs of a script shall hear it all the same
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	os.Exit(m.Run())
}

func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts are for systems with signals and sh")
	}
	openSources(t)
	bin := t.TempDir()
	build(t, bin)
	addTools(t, bin)
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		Setup:               func(e *testscript.Env) error { return setup(e, bin) },
		Cmds:                commands,
		Deadline:            time.Now().Add(10 * time.Minute), // a command that hangs is ended then, and shows where it hung
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// openSources opens what the programs are made of. They are built by another process, of which go test knows nothing: without
// this it would go on saying "(cached) ok" after a change of them.
func openSources(t *testing.T) {
	for _, dir := range []string{"cmd", "lib", "man"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// build makes the programs; only the main node's needs cgo.
func build(t *testing.T, bin string) {
	mains, err := filepath.Glob(filepath.Join("..", "cmd", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var others []string
	for _, main := range mains {
		if dir := filepath.Dir(main); filepath.Base(dir) != "rc-mained" {
			others = append(others, dir)
		}
	}
	goBuild(t, bin, "1", "../cmd/rc-mained")
	goBuild(t, bin, "0", others...)
}

func goBuild(t *testing.T, bin, cgo string, packages ...string) {
	args := []string{"build", "-o", bin + string(filepath.Separator), "-ldflags=-s -w"}
	if os.Getenv("GOCOVERDIR") != "" {
		args = append(args, "-cover", "-coverpkg=../...")
	}
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// hold is a program for tasks that shall run exactly as long as their story needs. It does not outlive the script.
const hold = `#!/bin/sh
# hold FILE: wait until FILE is there; or its folder is not, and nobody will make it.
until [ -e "$1" ]; do
	[ -d "${1%/*}" ] || exit 3
	sleep 0.05
done
`

// addTools puts beside the programs what tasks call. A python3 that is a wrapper in somebody's home would not be found there.
func addTools(t *testing.T, bin string) {
	if err := os.WriteFile(filepath.Join(bin, "hold"), []byte(hold), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return // scripts that need it say so
	}
	if err := os.Symlink(strings.TrimSpace(string(out)), filepath.Join(bin, "python3")); err != nil {
		t.Fatal(err)
	}
}

// setup makes the environment of a script: nothing outside $WORK is touched.
func setup(e *testscript.Env, bin string) error {
	man, err := filepath.Abs(filepath.Join("..", "man"))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"MAN":                    man,
		"PATH":                   bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME":                   filepath.Join(e.WorkDir, "home"),
		"XDG_STATE_HOME":         filepath.Join(e.WorkDir, "state"),
		"RC_DATA":                filepath.Join(e.WorkDir, "main"),
		"RC_WORKERD_ALLOW_WRITE": e.WorkDir, // where tasks tell what they do
		"RC_WORKERD_TASK_USER":   "root",    // who may, where this is root
		"DISCOVERY":              freeAddress(),
	} {
		e.Setenv(name, value)
	}
	c := newCluster(e)
	e.Values[clusterKey{}] = c
	e.Defer(c.end)
	return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o755)
}

// freeAddress is one of this host that nobody listens on, for datagrams.
func freeAddress() string {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// TestReadme holds README.md to the commands that there are.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range commands {
		if !strings.Contains(string(text), "`"+name+" ") {
			t.Errorf("README.md does not tell about %s", name)
		}
	}
}
