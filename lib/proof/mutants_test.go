package proof

import (
	"encoding/json"
	"os"
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
				if err := goBuild(bin, "-overlay="+overlay(t, m.file, m.old, m.new)); err != nil {
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

// overlay is a file that tells go build to take a source with a change instead of it.
func overlay(t *testing.T, file, old, new string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	source := string(read(path))
	if !strings.Contains(source, old) {
		t.Fatalf("%s does not have %q any more; change the mutant", file, old)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(changed, []byte(strings.ReplaceAll(source, old, new)), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return list
}
