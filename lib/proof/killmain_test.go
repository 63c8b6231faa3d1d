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
	kills, tasks, page := l.size(12, 200), l.size(600, 10_000), l.size(5, 25)
	r := newRig(t, times{500 * time.Millisecond, 20 * time.Second}, 10*time.Millisecond)
	for i := range 6 {
		r.work(fmt.Sprint("w", i+1), 2, 200*time.Millisecond)
	}
	r.online()
	c := newCrowd(t, r)
	c.ridden = true
	spy := newSpy(r)
	c.watch()
	for i := range 8 {
		rng := l.random(uint64(i + 1))
		c.submitter(fmt.Sprint("s", i+1), rng, tasks/8/page, page, func(key string) task.Spec {
			if rng.IntN(10) == 0 {
				return r.spec("pause", key, 0.05+0.4*rng.Float64())
			}
			return r.spec("tiny", key, 0)
		})
	}
	var acks []time.Duration
	for n := range kills {
		acks = append(acks, c.firstAck(n))
		<-time.After(between(l.rng, 50*time.Millisecond, 300*time.Millisecond))
		r.main.signal(syscall.SIGKILL)
		if n%20 == 0 {
			spy.look()
		}
	}
	acks = append(acks, c.firstAck(kills))
	killed, meanwhile := time.Since(l.began), c.over()
	done := waitFor(time.Minute, func() bool { return int(c.acked.Load()) >= tasks }) && c.settle(time.Minute)
	wrong := c.collect()
	if !done {
		t.Errorf("not all tasks are over after %s", time.Since(l.began))
	}
	for _, s := range spy.find() {
		t.Errorf("S16: %s", s)
	}
	slices.Sort(acks)
	p99 := acks[(len(acks)-1)*99/100]
	if p99 > time.Second && l.full {
		t.Errorf("after a restart the first acknowledgement takes %s", p99)
	}
	all, _ := c.attempts()
	l.report("tasks", len(c.final), "faults", kills, "lost", count(wrong, "I1"), "double", count(wrong, "I2", "I4", "I5", "I8", "I11"), "second_starts", c.seconds(), "zombies", len(c.zombies),
		"unsent_leases", all-len(c.starts), "lost_replies", c.lost.Load(), "ack_p50_ms", acks[len(acks)/2].Milliseconds(), "ack_p99_ms", p99.Milliseconds(), "secrets", len(spy.find()),
		"kill_seconds", int(killed.Seconds()), "ended_meanwhile", meanwhile, "violations", len(wrong))
}

// firstAck submits a task to a main node that is starting, as soon as that is possible, and says how long after the start that was.
func (c *crowd) firstAck(n int) time.Duration {
	c.t.Helper()
	c.sent.Add(1)
	key := fmt.Sprint("first-", n)
	specs := []task.Spec{c.r.spec("tiny", key+"/0", 0)}
	for deadline := time.Now().Add(ready); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		life, began := c.r.main.life()
		if life != n+1 {
			continue
		}
		if ids := c.try(key, specs); ids != nil {
			return time.Since(began)
		}
	}
	c.t.Fatalf("life %d of the main node takes no task: %v", n+1, c.r.main.failed)
	return 0
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
