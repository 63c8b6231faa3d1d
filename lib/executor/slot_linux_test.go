package executor

import (
	"context"
	"sync"
	"testing"

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
