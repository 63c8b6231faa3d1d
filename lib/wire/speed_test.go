package wire

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// nowhere is a connection that takes everything.
type nowhere struct{ net.Conn }

func (nowhere) Write(b []byte) (int, error) { return io.Discard.Write(b) }

func messages() map[string]Message {
	exit := 0
	lease := task.Lease{Task: 123456, Attempt: 1, Token: "abcdefghijklmnopqrstuvwxyz"}
	return map[string]Message{
		"assign": {Type: TypeTaskAssign, Target: "pi4", Body: Assign{Number: 8, Task: AssignedTask{Lease: lease,
			Spec: task.Spec{Type: task.TypeCommand, Payload: []byte(`{"argv":["true","8"]}`)}}}},
		"result": {Type: TypeTaskResult, Sender: "pi4", ID: "4", Body: Result{Lease: lease, Status: task.AttemptCompleted, Wall: 0.031, OutputBytes: 10,
			Result: ResultBody{Output: "4999950000", ExitCode: &exit, Metrics: task.Metrics{CPUTime: 0.02, MemoryPeak: 9437184}}}},
		"judged": {Type: TypeAck, ReplyTo: "4", Body: Judged{Lease: lease, Verdict: Recorded}},
	}
}

// BenchmarkWrite writes a message, as it stands among many.
func BenchmarkWrite(b *testing.B) {
	for name, m := range messages() {
		b.Run(name, func(b *testing.B) {
			c := NewConn(nowhere{})
			many := make([]Message, 64)
			for i := range many {
				many[i] = m
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(many) {
				if err := c.WriteMessages(many...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads a message and its data.
func BenchmarkRead(b *testing.B) {
	for name, into := range map[string]func() any{
		"assign": func() any { return new(Assign) }, "result": func() any { return new(Result) }, "judged": func() any { return new(Judged) },
	} {
		b.Run(name, func(b *testing.B) {
			d := drafts.New().(*draft)
			m := messages()[name]
			if err := d.add(&m, "2026-01-15T10:30:00.000Z"); err != nil {
				b.Fatal(err)
			}
			line := bytes.Clone(d.Bytes())
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := ParseMessage(line)
				if err == nil {
					err = m.Decode(into())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
