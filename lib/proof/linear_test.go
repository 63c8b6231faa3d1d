package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// call is what a client asked of one task, a register of its own.
type call struct {
	verb string // submit, status, cancel, result
	key  string // of the task
}

// answer is what it was told. One that never came is silent: it may have taken effect at any later time, or not at all.
type answer struct {
	silent  bool
	unknown bool       // no such task
	state   task.State // of status
	attempt int        // of status
	count   int        // of cancel
	text    string     // of result
	id      task.ID    // of submit
}

// register is what may be known of a task. Between two answers the cluster itself moves it on: that is left open until an answer tells.
type register struct {
	id      task.ID    // 0: not submitted
	attempt int        // the newest that was told
	ended   bool       // it is over
	state   task.State // how, once that is known; 0: somehow, but nobody has cancelled it
	exact   bool       // it was over in that attempt
}

// model is a task as its clients may see it: once it is acknowledged it is there; its attempts only grow; when it is over it stays as it
// is; a cancel ends what is not over, and nothing else.
var model = porcupine.Model{
	Partition: func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string]int{}
		for _, o := range all {
			key := o.Input.(call).key
			i, ok := byKey[key]
			if !ok {
				i = len(parts)
				byKey[key], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		r, a := state.(register), output.(answer)
		switch input.(call).verb {
		case "submit":
			return r.submit(a)
		case "status":
			return r.status(a)
		case "cancel":
			return r.cancel(a)
		}
		return r.result(a, input.(call).key)
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

func (r register) submit(a answer) (bool, register) {
	if r.id == 0 {
		r.id = a.id
	}
	return r.id == a.id, r
}

func (r register) status(a answer) (bool, register) {
	switch {
	case a.silent:
		return true, r
	case a.unknown || r.id == 0:
		return a.unknown && r.id == 0, r
	case a.attempt < r.attempt || r.exact && a.attempt != r.attempt:
		return false, r
	case r.ended && !a.state.Ended() || r.state != 0 && a.state != r.state:
		return false, r
	case r.state == 0 && a.state == task.Cancelled: // nobody has cancelled it
		return false, r
	}
	r.attempt = a.attempt
	if a.state.Ended() {
		r.ended, r.state, r.exact = true, a.state, true
	}
	return true, r
}

func (r register) cancel(a answer) (bool, register) {
	switch {
	case r.id == 0:
		return a.silent || a.unknown || a.count == 0, r
	case r.ended:
		return a.silent || a.count == 0, r
	case a.silent || a.count == 1:
		r.ended, r.state = true, task.Cancelled
		return true, r
	}
	r.ended = true // or it would have been cancelled
	return a.count == 0, r
}

func (r register) result(a answer, key string) (bool, register) {
	switch {
	case a.silent:
		return true, r
	case a.unknown || r.id == 0:
		return a.unknown && r.id == 0, r
	case r.state == task.Completed:
		return a.text == key+"\n", r
	}
	return strings.HasPrefix(key+"\n", a.text), r
}

// TestLinearizable lets clients submit, cancel and look at the same few tasks at once, while the main node is killed again and again. Every
// task must have behaved as one register that is changed and read at single moments.
func TestLinearizable(t *testing.T) {
	l := begin(t, "linearizable")
	histories, atOnce := l.size(10, 50), l.size(5, 10)
	r := newRig(t, build(t), patient, 10*time.Millisecond)
	for i := range 3 {
		r.work(fmt.Sprint("w", i+1), 2, 200*time.Millisecond)
	}
	r.online()
	storm, calm := context.WithCancel(t.Context())
	kills := make(chan int, 1)
	go func() { kills <- r.killMain(storm, l.random(1)) }()
	results := make([]porcupine.CheckResult, histories)
	operations, silent := 0, 0
	for from := 0; from < histories; from += atOnce {
		all := make([][]porcupine.Operation, atOnce)
		var group sync.WaitGroup
		for i := range atOnce {
			group.Go(func() { all[i] = r.record(t.Context(), fmt.Sprint("h", from+i), l.random(uint64(10+from+i))) })
		}
		group.Wait()
		for i, ops := range all {
			operations += len(ops)
			for _, o := range ops {
				if o.Output.(answer).silent {
					silent++
				}
			}
			if results[from+i] = porcupine.CheckOperationsTimeout(model, ops, 30*time.Second); results[from+i] != porcupine.Ok {
				t.Errorf("I13: history %d is not linearizable (%s):\n%s", from+i, results[from+i], worst(ops))
			}
		}
	}
	calm()
	faults := <-kills
	n := map[porcupine.CheckResult]int{}
	for _, result := range results {
		n[result]++
	}
	l.report("histories", histories, "operations", operations, "faults", faults, "silent", silent, "ok", n[porcupine.Ok], "illegal", n[porcupine.Illegal], "unknown", n[porcupine.Unknown])
}

// killMain kills the main node again and again, until it is told to end.
func (r *rig) killMain(ctx context.Context, rng *rand.Rand) (kills int) {
	for {
		select {
		case <-time.After(between(rng, 50*time.Millisecond, 300*time.Millisecond)):
			if r.main.signal(syscall.SIGKILL) {
				kills++
			}
		case <-ctx.Done():
			return kills
		}
	}
}

const (
	clientsOfHistory = 5
	callsOfClient    = 40
	tasksOfHistory   = 8
)

// shared is the tasks of a history, whose ids its clients learn by and by.
type shared struct {
	mu  sync.Mutex
	ids map[string]task.ID
}

// record lets some clients work on some tasks and returns what they asked and were told.
func (r *rig) record(ctx context.Context, name string, rng *rand.Rand) (all []porcupine.Operation) {
	s := &shared{ids: map[string]task.ID{}}
	began := time.Now()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for n := range clientsOfHistory {
		mine := rand.New(rand.NewPCG(rng.Uint64(), uint64(n)))
		clients.Go(func() {
			cl := r.client()
			defer cl.Close()
			for made := 0; made < callsOfClient && ctx.Err() == nil; {
				asked := call{s.verb(mine), fmt.Sprintf("%s-%d", name, mine.IntN(tasksOfHistory))}
				from := time.Since(began).Nanoseconds()
				told, ok := r.call(ctx, cl, s, asked)
				if !ok {
					continue
				}
				to := time.Since(began).Nanoseconds()
				if told.silent {
					to = time.Hour.Nanoseconds() // it may come about as late as one likes
				}
				made++
				mu.Lock()
				all = append(all, porcupine.Operation{ClientId: n, Input: asked, Call: from, Output: told, Return: to})
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return all
}

// verb chooses what to do next.
func (s *shared) verb(rng *rand.Rand) string {
	switch n := rng.IntN(100); {
	case n < 20:
		return "submit"
	case n < 28:
		return "cancel"
	case n < 45:
		return "result"
	}
	return "status"
}

// call asks once; only a submission is repeated until it is answered, which is one call then. False: there was nothing to ask.
func (r *rig) call(ctx context.Context, cl *client.Client, s *shared, c call) (answer, bool) {
	s.mu.Lock()
	id := s.ids[c.key]
	s.mu.Unlock()
	if c.verb == "submit" {
		got, err := cl.Submit(ctx, []task.Spec{r.spec("echo", c.key, 0.04)}, client.SubmitOptions{Key: c.key})
		if err != nil {
			return answer{}, false
		}
		s.mu.Lock()
		s.ids[c.key] = got.Tasks[0]
		s.mu.Unlock()
		return answer{id: got.Tasks[0]}, true
	}
	if id == 0 {
		return answer{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a, err := r.ask(ctx, cl, id, c.verb)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return answer{unknown: true}, true
	case err != nil:
		return answer{silent: true}, true
	}
	return a, true
}

func (r *rig) ask(ctx context.Context, cl *client.Client, id task.ID, verb string) (a answer, err error) {
	switch verb {
	case "status":
		t, err := cl.Task(ctx, id.String())
		return answer{state: t.State, attempt: t.Attempt}, err
	case "cancel":
		// A client may ask twice where its connection turns out to be broken, and the second answer is no answer to the first question:
		// one that has just connected does not.
		fresh := r.client()
		defer fresh.Close()
		a.count, err = fresh.Cancel(ctx, wire.Select{Tasks: []string{id.String()}})
		return a, err
	}
	for p, err := range cl.Output(ctx, wire.FollowOutput{Task: id.String()}) {
		if err != nil {
			return a, err
		}
		a.text += string(p.Data)
	}
	return a, nil
}

// worst is what was asked and told of the first task whose calls are not linearizable.
func worst(all []porcupine.Operation) string {
	for _, part := range model.Partition(all) {
		if porcupine.CheckOperationsTimeout(model, part, 30*time.Second) == porcupine.Ok {
			continue
		}
		var lines strings.Builder
		for _, o := range part {
			fmt.Fprintf(&lines, "%8.3f ms … %8.3f ms %s\n", float64(o.Call)/1e6, float64(o.Return)/1e6, model.DescribeOperation(o.Input, o.Output))
		}
		return lines.String()
	}
	return "none of its tasks alone"
}

// TestNotLinearizable is the negative control: histories of one task that no register can have, each of which the model must refuse.
func TestNotLinearizable(t *testing.T) {
	const key = "k"
	at := func(from, to int64, verb string, a answer) porcupine.Operation {
		return porcupine.Operation{Input: call{verb, key}, Call: from, Output: a, Return: to}
	}
	submitted := at(0, 1, "submit", answer{id: 7})
	running, completed := answer{state: task.Running, attempt: 1}, answer{state: task.Completed, attempt: 1}
	one, none, cancelled := answer{count: 1}, answer{}, answer{state: task.Cancelled, attempt: 1}
	for _, tt := range []struct {
		name string
		ok   bool
		ops  []porcupine.Operation
	}{
		{"as it should be", true, []porcupine.Operation{at(2, 3, "status", running), at(4, 5, "result", answer{text: "k"}), at(6, 7, "status", completed),
			at(8, 9, "cancel", none), at(10, 11, "result", answer{text: "k\n"}), at(12, 13, "submit", answer{id: 7})}},
		{"a cancel whose answer was lost", true, []porcupine.Operation{at(2, 1000, "cancel", answer{silent: true}), at(4, 5, "cancel", none), at(6, 7, "status", cancelled)}},
		{"a cancel that was lost itself", true, []porcupine.Operation{at(2, 1000, "cancel", answer{silent: true}), at(4, 5, "status", running), at(6, 7, "status", completed)}},
		{"two at once, in the other order", true, []porcupine.Operation{at(2, 9, "status", completed), at(3, 8, "status", running)}},
		{"an acknowledged task is not there", false, []porcupine.Operation{at(2, 3, "status", answer{unknown: true})}},
		{"another task under the same key", false, []porcupine.Operation{at(2, 3, "submit", answer{id: 8})}},
		{"completed, and running again", false, []porcupine.Operation{at(2, 3, "status", completed), at(4, 5, "status", running)}},
		{"completed, and cancelled", false, []porcupine.Operation{at(2, 3, "status", completed), at(4, 5, "status", cancelled)}},
		{"completed twice", false, []porcupine.Operation{at(2, 3, "status", completed), at(4, 5, "status", answer{state: task.Completed, attempt: 2})}},
		{"a cancel is undone", false, []porcupine.Operation{at(2, 3, "cancel", one), at(4, 5, "status", running)}},
		{"a cancelled task completes", false, []porcupine.Operation{at(2, 3, "cancel", one), at(4, 5, "status", completed)}},
		{"cancelled twice", false, []porcupine.Operation{at(2, 3, "cancel", one), at(4, 5, "cancel", one)}},
		{"a cancel found nothing, and it runs", false, []porcupine.Operation{at(2, 3, "cancel", none), at(4, 5, "status", running)}},
		{"cancelled by nobody", false, []porcupine.Operation{at(2, 3, "status", cancelled)}},
		{"an attempt is taken back", false, []porcupine.Operation{at(2, 3, "status", answer{state: task.Running, attempt: 2}), at(4, 5, "status", running)}},
		{"completed without its output", false, []porcupine.Operation{at(2, 3, "status", completed), at(4, 5, "result", answer{})}},
		{"the output of another task", false, []porcupine.Operation{at(2, 3, "result", answer{text: "other"})}},
	} {
		got := porcupine.CheckOperationsTimeout(model, append([]porcupine.Operation{submitted}, tt.ops...), 30*time.Second)
		if (got == porcupine.Ok) != tt.ok {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
