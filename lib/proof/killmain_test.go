package proof

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestKillMain kills the main node again and again while eight clients submit through lost replies, and six workers work. All workers
// stay alive, so nothing starts twice.
func TestKillMain(t *testing.T) {
	l := begin(t, "kill_main")
	kills, tasks := l.size(12, 200), l.size(600, 10_000)
	r := newRig(t, build(t), patient, 10*time.Millisecond)
	k := startKilling(l, r, 6, 8, tasks, l.size(5, 25))
	spy := newSpy(r)
	for n := range kills {
		k.kill(n)
		if n%20 == 0 {
			spy.look()
		}
	}
	k.firstAck(kills)
	killed, meanwhile := time.Since(l.began), k.over()
	k.finish()
	wrong := k.collect()
	complain(t, wrong)
	for _, s := range spy.find() {
		t.Errorf("S16: %s", s)
	}
	slices.Sort(k.after)
	p99 := k.after[(len(k.after)-1)*99/100]
	if p99 > time.Second && l.full {
		t.Errorf("after a restart the first acknowledgement takes %s", p99)
	}
	all, _ := k.attempts()
	l.report("tasks", len(k.final), "faults", kills, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "second_starts", k.seconds(), "zombies", len(k.zombies), "cancelled", len(k.cancelled),
		"unsent_leases", all-len(k.starts), "lost_replies", k.lost.Load(), "ack_p50_ms", k.after[len(k.after)/2].Milliseconds(), "ack_p99_ms", p99.Milliseconds(), "secrets", len(spy.find()),
		"kill_seconds", int(killed.Seconds()), "ended_meanwhile", meanwhile, "violations", len(wrong))
}

// patient are the times of lanes in which no device is to be missed: a lease of 30 s.
var patient = times{500 * time.Millisecond, 20 * time.Second}

// killing is a cluster whose main node is being killed.
type killing struct {
	*crowd
	l     *lane
	tasks int
	after []time.Duration // from each start to the first acknowledgement
}

// startKilling starts workers, and clients that submit so many tasks.
func startKilling(l *lane, r *rig, workers, submitters, tasks, page int) *killing {
	l.t.Helper()
	for i := range workers {
		r.work(fmt.Sprint("w", i+1), 2, 200*time.Millisecond)
	}
	r.online()
	k := &killing{crowd: newCrowd(l.t, r), l: l, tasks: tasks}
	k.ridden = true
	k.watch()
	k.cancels()
	for i := range submitters {
		rng := l.random(uint64(i + 1))
		k.submitter(fmt.Sprint("s", i+1), rng, tasks/submitters/page, page, func(key string) task.Spec {
			if rng.IntN(10) == 0 {
				return r.spec("pause", key, 0.05+0.4*rng.Float64())
			}
			return r.spec("tiny", key, 0)
		})
	}
	return k
}

// kill kills the main node a little while after it has acknowledged something again.
func (k *killing) kill(n int) {
	k.t.Helper()
	k.firstAck(n)
	<-time.After(between(k.l.rng, 50*time.Millisecond, 300*time.Millisecond))
	k.r.main.signal(syscall.SIGKILL)
}

// finish waits until everything is submitted and over.
func (k *killing) finish() {
	k.t.Helper()
	if !waitFor(time.Minute, func() bool { return int(k.acked.Load()) >= k.tasks }) || !k.settle(time.Minute) {
		k.t.Errorf("not all tasks are over after %s", time.Since(k.l.began))
	}
}

// firstAck submits a task to a main node that is starting, as soon as that is possible, and notes how long after the start that was.
func (k *killing) firstAck(n int) {
	k.t.Helper()
	k.sent.Add(1)
	key := fmt.Sprint("first-", n)
	specs := []task.Spec{k.r.spec("tiny", key+"/0", 0)}
	for deadline := time.Now().Add(ready); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		life, began := k.r.main.life()
		if life != n+1 {
			continue
		}
		if ids := k.try(key, specs); ids != nil {
			k.after = append(k.after, time.Since(began))
			return
		}
	}
	k.t.Fatalf("life %d of the main node takes no task: %v", n+1, k.r.main.failed)
}

// try tries once to submit, over a connection of its own.
func (c *crowd) try(key string, specs []task.Spec) []task.ID {
	ctx, cancel := context.WithTimeout(c.t.Context(), ready)
	defer cancel()
	cl, err := client.Dial(ctx, c.r.options)
	if err != nil {
		return nil
	}
	defer cl.Close()
	s, err := cl.Submit(ctx, specs, client.SubmitOptions{Key: key})
	if err != nil {
		return nil
	}
	c.accepted(key, s.Tasks)
	return s.Tasks
}
