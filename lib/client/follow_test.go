package client_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestEventsResume cuts the connection after every third event.
func TestEventsResume(t *testing.T) {
	p := newPeer(t, func(_ int, c *wire.Conn) {
		m, err := c.ReadMessage()
		if err != nil {
			return
		}
		f := decode[wire.FollowEvents](t, m)
		for seq := f.After + 1; seq <= f.After+3; seq++ {
			answer(c, m, wire.TypeEvent, wire.Event{Event: cluster.Event{Seq: seq, Kind: cluster.TaskStarted}})
		}
	})
	next := int64(5)
	for e, err := range p.dial().Events(within(t, 30*time.Second), wire.FollowEvents{After: 5, Follow: true}) {
		if next++; err != nil || e.Seq != next {
			t.Fatalf("event %d, %v; want %d", e.Seq, err, next)
		}
		if next == 15 {
			break
		}
	}
}

// TestOutputResumes cuts the connection after every piece, in the middle of one, and when the attempt was lost meanwhile.
func TestOutputResumes(t *testing.T) {
	attempts := map[int]string{1: "first attempt", 2: "second", 3: "the third attempt, which is longer"}
	for _, tt := range []struct {
		name string
		now  func(conn int) int // the newest attempt, by connection
		want string
	}{
		{"one", func(int) int { return 1 }, "1:first attempt"},
		{"lost, shorter", func(n int) int { return min(1+n/3, 2) }, "1:first attempt2:second"},
		{"lost, longer", func(n int) int { return min(1+n/3*2, 3) }, "1:first attempt3:the third attempt, which is longer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, func(n int, c *wire.Conn) {
				m, err := c.ReadMessage()
				if err != nil {
					return
				}
				f := decode[wire.FollowOutput](t, m)
				attempt := tt.now(n)
				text := attempts[attempt]
				if int(f.Position) >= len(text) {
					answer(c, m, wire.TypeAck, wire.OutputEnd{Attempt: attempt, Position: f.Position, Ended: attempt == tt.now(1000)})
					return
				}
				to := min(len(text), int(f.Position)+7)
				chunk := task.Chunk{Position: f.Position, Stream: task.Stdout, Data: []byte(text[f.Position:to])}
				answer(c, m, wire.TypeOutput, wire.OutputPiece{Attempt: attempt, Piece: wire.NewPiece(chunk)})
			})
			c := p.dial()
			c.Ping(within(t, time.Millisecond)) // the first connection is not one of those that are followed
			if got := read(t, c.Output(within(t, 30*time.Second), wire.FollowOutput{Task: "t123", Follow: true})); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOutputsShareConnections reads many outputs that are not followed, one after another.
func TestOutputsShareConnections(t *testing.T) {
	p := newPeer(t, func(n int, c *wire.Conn) {
		if n > 1 {
			t.Error("a third connection")
		}
		each(c, func(m wire.Message) {
			f := decode[wire.FollowOutput](t, m)
			chunk := task.Chunk{Stream: task.Stdout, Data: []byte(f.Task)}
			answer(c, m, wire.TypeOutput, wire.OutputPiece{Attempt: 1, Piece: wire.NewPiece(chunk)})
			answer(c, m, wire.TypeAck, wire.OutputEnd{Attempt: 1, Position: int64(len(f.Task)), Ended: true})
		})
	})
	c := p.dial()
	for i := range 100 {
		id := fmt.Sprint("t", i)
		if got := read(t, c.Output(within(t, 5*time.Second), wire.FollowOutput{Task: id})); got != "1:"+id {
			t.Fatalf("%s: %q", id, got)
		}
	}
}

// read joins pieces, with the number of the attempt before each attempt.
func read(t *testing.T, pieces iter.Seq2[client.Piece, error]) string {
	t.Helper()
	var b strings.Builder
	attempt := 0
	for p, err := range pieces {
		if err != nil {
			t.Fatal(err)
		}
		if p.Attempt != attempt {
			attempt = p.Attempt
			fmt.Fprintf(&b, "%d:", attempt)
		}
		b.Write(p.Data)
	}
	return b.String()
}
