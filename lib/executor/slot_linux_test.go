package executor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// BenchmarkTwo runs two at a time, as a device with two slots does: as children of this process, and in slot helpers.
func BenchmarkTwo(b *testing.B) {
	for name, direct := range map[string]bool{"direct": true, "helper": false} {
		b.Run(name, func(b *testing.B) {
			x := newBench(b, Options{})
			x.slots.off = direct
			runTwo(b, x.Executor)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

func runTwo(b *testing.B, x *Executor) {
	a := attempt(b, "command", task.Command{Argv: []string{"true"}})
	each := make(chan int)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range each {
				if r := x.Run(context.Background(), a, func(task.Stream, []byte) {}); r.Status != task.AttemptCompleted {
					b.Error(r.Reason)
				}
			}
		})
	}
	for i := range b.N {
		each <- i
	}
	close(each)
	both.Wait()
}

// An attempt that keeps stopping its helper does not hold up who speaks with it, and is ended all the same.
func TestStoppedHelperHoldsNobodyUp(t *testing.T) {
	b := newBench(t, Options{KillGrace: 50 * time.Millisecond})
	a := attempt(t, "shell", task.Shell{Script: "while :; do kill -STOP $PPID; done"})
	a.Fence, a.FenceGrace = time.Hour, time.Second
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan task.Result, 1)
	go func() { ended <- b.do(ctx, a) }()
	for !b.Fence(a.Lease, time.Hour, time.Second) { // until it runs
		time.Sleep(time.Millisecond)
	}
	told := make(chan bool)
	go func() {
		for range 5000 {
			b.Fence(a.Lease, time.Hour, time.Second)
		}
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Fatal("a call of Fence waits for the helper")
	}
	cancel()
	select {
	case r := <-ended:
		if r.Status != task.AttemptCancelled && r.Status != task.AttemptLost {
			t.Errorf("%+v", r)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it cannot be ended")
	}
}

// A helper that cannot be started costs the attempt nothing but its place: it was not begun, and the next one is tried again.
func TestNoHelper(t *testing.T) {
	b := newBench(t, Options{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.slots.cgroups = &cgroups{dir: file} // below which nothing can be made
	for range 2 {
		r := b.sh("true")
		if r.Status != task.AttemptReleased || !strings.Contains(r.Reason, "no slot helper: control group") {
			t.Errorf("%+v", r)
		}
	}
	b.slots.cgroups = nil
	check(t, b.sh("true"), task.AttemptCompleted, 0, "")
}
