package proof

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mutants are main nodes and workers that break a rule. The lane kill_main must see each of them, as a breach of one of the invariants.
var mutants = []struct {
	name, file, old, new string
	seen                 []string
}{
	{"answers leave before the commit", "lib/mainnode/loop.go",
		"	c := l.core\n	if !r.Batch.Empty() {\n",
		"	c := l.core\n	l.act(r.Effects)\n	r.Effects = nil\n	time.Sleep(20 * time.Millisecond)\n	if !r.Batch.Empty() {\n", []string{"I1", "I2"}},
	{"a welcome overlooks what the device holds", "lib/mainnode/device.go", "c.reconcile(d, h.Held, sameLife", "c.reconcile(d, nil, sameLife", []string{"I19"}},
	{"a submission said twice makes two tasks", "lib/mainnode/task.go", `m.Key != ""`, "false", []string{"I2"}},
	{"a worker forgets a result that it has sent", "lib/worker/results.go", "	a.asked = true\n	id := c.nextID()\n", "	a.asked = true\n	defer c.judged(a)\n	id := c.nextID()\n", []string{"I19"}},
}

// TestMutants is the negative control of the lanes as a whole, of programs that are wrong.
func TestMutants(t *testing.T) {
	l := begin(t, "kill_main_mutants")
	if !l.full {
		t.Skip("builds the programs anew for each mutant; RC_PROVE=full runs it")
	}
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				bin := t.TempDir()
				if err := goBuild(bin, "-overlay="+overlay(t, patch{m.file, m.old, m.new})); err != nil {
					t.Fatal(err)
				}
				// What is wrong shows where a kill comes at a certain moment; real processes are not made to be there at that moment.
				var wrong []string
				for try := range 8 {
					if wrong = l.killSome(t, bin, try); count(wrong, m.seen...) > 0 {
						return
					}
				}
				t.Errorf("nobody sees it as a breach of %s: %q", strings.Join(m.seen, " or "), wrong)
			})
		}
	})
	l.report("mutants", len(mutants), "missed", map[bool]string{true: "some", false: "0"}[t.Failed()])
}

// killSome kills a main node a few times, and gives what is wrong then.
func (l *lane) killSome(t *testing.T, bin string, try int) []string {
	one := *l
	one.t, one.rng = t, l.random(uint64(try))
	k := startKilling(&one, newRig(t, bin, patient, 10*time.Millisecond), 3, 4, 160, 5)
	for n := range 8 {
		k.kill(n)
	}
	waitFor(2*time.Second, func() bool { return int(k.acked.Load()) >= k.tasks })
	k.settle(2 * time.Second)
	return k.collect()
}

// unguarded are checks that are left out, and the vectors that must come through then.
var unguarded = []struct {
	patch
	seen string
}{
	{patch{"lib/wire/strict.go", "	if s.twice(k, first, own, many) {", "	if s.twice(k, first, own, many) && false {"}, "json-twice"},
	{patch{"lib/wire/token.go", "return have >= 0 && have >= slices.Index(clientRoles, need)", "return have >= 0 || need != \"\""}, "read-drain"},
	{patch{"lib/mainnode/suspect.go", "	return wire.Errorf(wire.ErrForbidden, \"attempt %d of task %s is another device's\", l.Attempt, l.Task)", "	return nil"}, "device-others-progress"},
	{patch{"lib/device/device.go", "	if !name.MatchString(s) {", "	if false {"}, "join-name-escape"},
	{patch{"lib/web/host.go", "		if !s.place.isCalled(r.Host) {", "		if false {"}, "http-host-rebinding"},
}

// TestHostileMutants is the negative control of the lane hostile: of programs that have lost five of their checks it must miss every one. And of what makes
// text harmless, without which the tests of lib/text must fail.
func TestHostileMutants(t *testing.T) {
	l := begin(t, "hostile_mutants")
	if !l.full {
		t.Skip("builds the programs anew; RC_PROVE=full runs it")
	}
	l.alongside()
	var changes []patch
	for _, u := range unguarded {
		changes = append(changes, u.patch)
	}
	bin := t.TempDir()
	if err := goBuild(bin, "-overlay="+overlay(t, changes...)); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.Command(self, "-test.run=^TestHostile$")
	again.Env = append(os.Environ(), builtBefore+"="+bin, "RC_PROVE=")
	said, err := again.CombinedOutput()
	missed := 0
	for _, u := range unguarded {
		if err == nil || !strings.Contains(string(said), "--- FAIL: TestHostile/"+u.seen+" ") {
			t.Errorf("nobody sees that %s is without a check: %s was answered as before", u.file, u.seen)
			missed++
		}
	}
	harmful := overlay(t, patch{"lib/visible/visible.go", "return r >= 0x7f && unicode.Is(hidden, r) || r < 0x20", "return r < 0"})
	if said, err := exec.Command("go", "test", "-overlay="+harmful, "../text").CombinedOutput(); err == nil || !strings.Contains(string(said), "--- FAIL: TestSanitize") {
		t.Errorf("nobody sees that text is not made harmless any more: %s", said)
		missed++
	}
	l.report("checks", len(unguarded)+1, "missed", missed)
}

// patch is a change of a source.
type patch struct{ file, old, new string }

// overlay is a file that tells go build to take sources with changes instead of them.
func overlay(t *testing.T, changes ...patch) string {
	t.Helper()
	dir := t.TempDir()
	changed := map[string]string{}
	for i, c := range changes {
		path, err := filepath.Abs(filepath.Join("..", "..", c.file))
		if err != nil {
			t.Fatal(err)
		}
		source := string(read(path))
		if !strings.Contains(source, c.old) {
			t.Fatalf("%s does not have %q any more; change the mutant", c.file, c.old)
		}
		changed[path] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(changed[path], []byte(strings.ReplaceAll(source, c.old, c.new)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": changed})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return list
}
