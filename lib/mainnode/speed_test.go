package mainnode

import (
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// BenchmarkRound walks tasks through the core and the disk, 64 a round: one is submitted, leased, and its result is recorded. What is said is not written.
func BenchmarkRound(b *testing.B) {
	const many = 64
	r := newRig(b)
	admin, pi := r.client(wire.RoleAdmin), r.device("pi", many)
	exit := 0
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += many {
		r.submit(admin, many)
		var results []*Input
		for _, a := range pi.assigned() {
			results = append(results, &Input{Session: pi.session, Message: wire.Message{Type: "x"}, Body: &wire.Result{Lease: a.Task.Lease, Status: task.AttemptCompleted,
				Wall: 0.001, Result: wire.ResultBody{Output: "hello\n", ExitCode: &exit}}})
		}
		r.round(results...)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
