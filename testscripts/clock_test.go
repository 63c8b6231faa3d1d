//go:build linux

package testscripts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Devices whose clock is wrong by decades: a phone that begins in 1970 until it has heard of the time, one whose battery was dead. The worker is the
// real one, but for a package time that is a copy of Go's with an offset in Now.

func TestClocks(t *testing.T) {
	openSources(t)
	bin := t.TempDir()
	build(t, bin)
	addTools(t, bin)
	for _, year := range []int{1970, 2099} {
		t.Run(fmt.Sprint(year), func(t *testing.T) {
			wrong := t.TempDir()
			buildSkewed(t, wrong, time.Until(time.Date(year, 1, 1, 0, 1, 0, 0, time.UTC)))
			testscript.Run(t, testscript.Params{
				Dir: "clocks",
				Setup: func(e *testscript.Env) error {
					if err := setup(e, bin); err != nil {
						return err
					}
					e.Setenv("YEAR", fmt.Sprint(year))
					e.Setenv("PATH", wrong+":"+e.Getenv("PATH"))
					return nil
				},
				Cmds:     commands,
				Deadline: time.Now().Add(5 * time.Minute),
			})
		})
	}
}

// buildSkewed makes a worker whose clock is wrong by an offset.
func buildSkewed(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	const asks = "sec, nsec, mono := runtimeNow()\n"
	if n := strings.Count(string(source), asks); n == 0 {
		t.Fatalf("%s: Now does not ask for the time as it did", real)
	}
	skewed := strings.ReplaceAll(string(source), asks, asks+"\tsec += wrongBy\n") +
		"\nvar skew string\n\nvar wrongBy = func() int64 {\n\tn, _ := atoi(skew)\n\treturn int64(n)\n}()\n"
	other := filepath.Join(dir, "time.go")
	overlay := filepath.Join(dir, "overlay.json")
	for name, text := range map[string]string{other: skewed, overlay: fmt.Sprintf(`{"Replace":{%q:%q}}`, real, other)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	buildWorker(t, dir, nil, "-overlay", overlay, "-ldflags", fmt.Sprintf("-s -w -X time.skew=%d", int64(by.Seconds())))
}
