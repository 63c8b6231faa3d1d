// Package proof holds the lanes of `make prove` that run the real programs: a main node and its workers, each in a process of its own on
// this host, killed, stopped and cut off from each other while clients submit, cancel and watch. It has no code but tests.
//
// What happened is told by witnesses outside of the cluster: every task appends its start and its end to a file, clients note what they
// were told, the rig notes what it did. A checker judges this history by the invariants I1-I20; it is itself tested with histories that
// were broken by hand. Begin with check_test.go, then killmain_test.go.
//
// By default each lane runs a small part, RC_PROVE=full runs the whole. A lane is seeded: RC_PROVE_SEED orders what is done to the
// cluster, and when. It is no exact replay, since the kernel schedules real processes as it likes; a failing seed is likely to fail again,
// not certain. The simulation (lib/simulation) is where a seed replays exactly.
package proof

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs is where the programs under test are built, once.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	if plan := os.Getenv(attackPlan); plan != "" {
		attackAll(plan) // a process of its own, or it would slow down the one whose time is taken
		return
	}
	status := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(status)
}

const builtBefore = "RC_PROOF_PROGRAMS" // names a folder with programs to be proved instead

// build makes the programs and says where they are; only the main node's needs cgo.
func build(t *testing.T) string {
	t.Helper()
	openSources(t)
	if dir := os.Getenv(builtBefore); dir != "" {
		return dir
	}
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "rc-proof-bin"); programs.err != nil {
			return
		}
		programs.err = goBuild(programs.dir)
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// goBuild makes the programs in a folder.
func goBuild(dir string, flags ...string) error {
	for program, cgo := range map[string]string{"rc-mained": "1", "rc-workerd": "0", "rc-web": "0", "rc-submit": "0", "rc-status": "0", "rc-logs": "0", "rc-ctl": "0"} {
		args := append([]string{"build", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, flags...)
		cmd := exec.Command("go", append(args, "../../cmd/"+program)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", program, err, out)
		}
	}
	return nil
}

// openSources opens what the programs are made of: they are built by another process, of which go test knows nothing, and without this
// it would go on saying "(cached) ok" after a change of them.
func openSources(t *testing.T) {
	for _, dir := range []string{"../../cmd", "../../lib"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
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

// lane is one test on real processes, and its line in the report.
type lane struct {
	t     *testing.T
	name  string
	full  bool
	seed  uint64
	rng   *rand.Rand // of the nemesis alone: what others draw must not disturb it
	began time.Time
}

// begin begins a lane. Its name is that of its line; the test's own is needed to run it again.
func begin(t *testing.T, name string) *lane {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the witnesses read /proc")
	}
	if raced {
		t.Skip("the race detector sees these clients, not the programs under test, which are what it is about; without -race it runs")
	}
	if testing.Short() {
		t.Skip("runs a cluster of processes for some seconds")
	}
	l := &lane{t: t, name: name, full: os.Getenv("RC_PROVE") == "full", seed: 1, began: time.Now()}
	if l.full {
		l.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	if s := os.Getenv("RC_PROVE_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("RC_PROVE_SEED=%q: %v", s, err)
		}
		l.seed = seed
	}
	l.rng = l.random(0)
	return l
}

// alongside lets a lane run beside others that wait more than they compute, as it does.
func (l *lane) alongside() {
	l.t.Parallel()
	l.began = time.Now()
}

// random is a source of randomness for one part of a lane.
func (l *lane) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(l.seed, part)) }

// size is a number that the fast part of a lane makes smaller.
func (l *lane) size(fast, full int) int {
	if l.full {
		return full
	}
	return fast
}

// report prints the lane's line, and how to run a lane again that failed. pairs are keys and values.
func (l *lane) report(pairs ...any) {
	line := fmt.Sprintf("LANE %s seed=%d", l.name, l.seed)
	for i := 0; i+1 < len(pairs); i += 2 {
		line += fmt.Sprintf(" %v=%v", pairs[i], pairs[i+1])
	}
	fmt.Printf("%s seconds=%.0f\n", line, time.Since(l.began).Seconds())
	if l.t.Failed() {
		mode := ""
		if l.full {
			mode = "RC_PROVE=full "
		}
		l.t.Logf("again with: RC_PROVE_SEED=%d %sgo test -count=1 -run '^%s$' ./lib/proof", l.seed, mode, l.t.Name())
	}
}

// between draws a time.
func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// waitFor waits until something is so; false: it was not within that time.
func waitFor(within time.Duration, is func() bool) bool {
	for deadline := time.Now().Add(within); ; {
		if is() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
}
