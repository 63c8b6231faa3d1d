package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// witness is what was seen from outside.
type witness struct {
	word   map[task.ID]string // of every task that was acknowledged in any history: what it prints
	kept   map[task.ID]bool   // of those that must be there: the last backup has them, or they came after its restore
	words  int
	random *rand.Rand

	collisions, wrong, lost int
}

// TestRestoreUnderLoad submits all the time, makes a backup meanwhile, submits more, and restores the backup while workers hold, and have the results of,
// attempts that it does not know.
func TestRestoreUnderLoad(t *testing.T) {
	rounds, seed := 2, uint64(time.Now().UnixNano())
	if os.Getenv("RC_PROVE") == "full" {
		rounds = 8
	}
	if s := os.Getenv("RC_PROVE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	r := newRig(t, 3)
	w := &witness{word: map[task.ID]string{}, kept: map[task.ID]bool{}, random: rand.New(rand.NewPCG(seed, 0))}
	for i := range rounds {
		w.round(r, i)
	}
	orphans := w.orphans(r)
	fmt.Printf("LANE restore seed=%d tasks=%d backups=%d collisions=%d wrong=%d lost=%d orphans=%d\n", seed, len(w.word), rounds, w.collisions, w.wrong, w.lost, orphans)
	if t.Failed() {
		t.Logf("again, as far as processes can be: RC_PROVE_SEED=%d go test ./lib/proof/restore\n%s", seed, r.said("main"))
	}
	if orphans == 0 {
		t.Error("no worker had a result that the restored main node does not know: the lane does not try what it is for")
	}
}

// round is one backup and its restore.
func (w *witness) round(r *rig, i int) {
	file := filepath.Join(r.dir, fmt.Sprintf("backup%d.db", i))
	before := w.load(r, 40, nil)
	// The backup is made while more is submitted: what was acknowledged before it began is in it.
	made := make(chan string, 1)
	beside := w.load(r, 60, func() { go func() { made <- r.run("backup", file) }() })
	r.t.Log(strings.TrimSpace(<-made))
	after := w.load(r, 60, nil)
	maps.Copy(after, w.straggler(r, i))
	time.Sleep(time.Duration(w.random.IntN(300)) * time.Millisecond) // some of these run by then, some have ended, some wait
	r.stopMain([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[i%2])
	w.endStraggler(r, i)
	restored := time.Now()
	r.run("restore", file)
	r.startMain()
	for id, word := range before {
		w.kept[id], w.word[id] = true, word
	}
	for _, history := range []map[task.ID]string{beside, after} {
		for id, word := range history {
			w.word[id] = word
		}
	}
	for id, word := range w.load(r, 40, nil) {
		if w.word[id] != "" {
			w.collisions++
			r.t.Errorf("%s was given out twice: to %q, and after the restore to %q", id, w.word[id], word)
		}
		w.kept[id], w.word[id] = true, word
	}
	r.wait("all tasks to end", func(ctx context.Context, c *client.Client) bool {
		s, err := c.Status(ctx)
		return err == nil && s.TasksActive+s.TasksQueued == 0
	})
	w.check(r, restored)
}

// load submits tasks one after the other, and calls then in the middle.
func (w *witness) load(r *rig, many int, then func()) map[task.ID]string {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c, err := r.client(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	acked := map[task.ID]string{}
	for i := range many {
		if i == many/3 && then != nil {
			then()
		}
		w.words++
		word := fmt.Sprint("word-", w.words)
		payload, _ := json.Marshal(map[string]string{"script": fmt.Sprintf("sleep 0.%02d; echo %s", w.random.IntN(40), word)})
		s, err := c.Submit(ctx, []task.Spec{{Type: task.TypeShell, Payload: payload}}, client.SubmitOptions{})
		if err != nil {
			r.t.Fatalf("submit: %v\n%s", err, r.said("main"))
		}
		if acked[s.Tasks[0]] != "" {
			w.collisions++
			r.t.Errorf("%s was given out twice", s.Tasks[0])
		}
		acked[s.Tasks[0]] = word
	}
	return acked
}

// straggler submits a task that ends when the main node is away, and waits until it runs: its result is one that the restored main node does not know.
func (w *witness) straggler(r *rig, i int) map[task.ID]string {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c, err := r.client(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	w.words++
	word := fmt.Sprint("word-", w.words)
	away, ended := stragglerFiles(r, i)
	script := fmt.Sprintf("until [ -e %s ]; do sleep 0.01; done; echo %s; touch %s", away, word, ended)
	payload, _ := json.Marshal(map[string]string{"script": script})
	s, err := c.Submit(ctx, []task.Spec{{Type: task.TypeShell, Payload: payload, Priority: task.Urgent}}, client.SubmitOptions{})
	if err != nil {
		r.t.Fatalf("submit: %v\n%s", err, r.said("main"))
	}
	r.wait("the straggler to run", func(ctx context.Context, c *client.Client) bool {
		x, err := c.Task(ctx, s.Tasks[0].String())
		return err == nil && x.State == task.Running
	})
	return map[task.ID]string{s.Tasks[0]: word}
}

func stragglerFiles(r *rig, i int) (away, ended string) {
	return filepath.Join(r.dir, fmt.Sprint("away-", i)), filepath.Join(r.dir, fmt.Sprint("ended-", i))
}

// endStraggler lets it end.
func (w *witness) endStraggler(r *rig, i int) {
	away, ended := stragglerFiles(r, i)
	if err := os.WriteFile(away, nil, 0o600); err != nil {
		r.t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ended); err == nil {
			return
		}
	}
	r.t.Fatal("the straggler does not end")
}

// check looks at every task that is there, and for every task that must be.
func (w *witness) check(r *rig, restored time.Time) {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c, err := r.client(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	for id, word := range w.word {
		x, err := c.Task(ctx, id.String())
		if errors.Is(err, task.ErrNotFound) {
			if w.kept[id] {
				w.lost++
				r.t.Errorf("%s (%s) is lost", id, word)
			}
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if x.State != task.Completed {
			w.lost++
			r.t.Errorf("%s (%s) ended as %s: %s", id, word, x.State, x.Reason)
		}
		w.numbers(r, &x, restored)
		if said := printed(ctx, r, c, id); said != word+"\n" {
			w.wrong++
			r.t.Errorf("%s printed %q, want %q", id, said, word)
		}
	}
}

// numbers looks at the attempts of a task: one that was made after the restore, of a task from before it, is none that may have been made before.
func (w *witness) numbers(r *rig, x *task.Task, restored time.Time) {
	for _, a := range x.Attempts {
		if x.Submitted.Before(restored.Add(-time.Millisecond)) && a.Leased.After(restored) && a.Number < 1000 {
			w.collisions++
			r.t.Errorf("%s: attempt %d was made after the restore at %s: %+v", x.ID, a.Number, restored, a)
		}
	}
}

func printed(ctx context.Context, r *rig, c *client.Client, id task.ID) string {
	var text strings.Builder
	for p, err := range c.Output(ctx, wire.FollowOutput{Task: id.String()}) {
		if err != nil {
			r.t.Fatal(err)
		}
		text.Write(p.Data)
	}
	return text.String()
}

// orphans counts the results that were listed as those of unknown attempts.
func (w *witness) orphans(r *rig) (n int) {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c, err := r.client(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	for e, err := range c.Events(ctx, wire.FollowEvents{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		if e.Kind == "result_orphaned" {
			n++
		}
	}
	return n
}
