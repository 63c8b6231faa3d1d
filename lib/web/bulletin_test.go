package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// numbers are those of the events that a reader gets who has seen all up to seq.
func (j *bulletin) numbers(seq int64, f wire.EventFilter) (got []string) {
	for n := j.after(seq); ; n = j.after(seq) {
		if n.missing > 0 {
			return []string{fmt.Sprint("missing to ", n.missing)}
		}
		if n.page == nil {
			return got
		}
		for line := range strings.Lines(string(n.page.after(seq, &interest{match: wire.NewEventMatch(&f)}))) {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				got = append(got, strings.TrimSpace(id))
			}
		}
		seq = n.page.last()
	}
}

// What comes together is on one page; what comes alone is seen at once.
func TestBulletin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newBulletin(nil, nil)
		defer j.follow()()
		j.start(time.Now(), 10)
		quick := j.after(10).changed
		for seq, device := range []string{"a", "b", "a", "b", "a"} {
			j.add(&cluster.Event{Seq: int64(11 + seq), Kind: cluster.DeviceOnline, Device: device})
		}
		<-quick
		if got := j.numbers(10, wire.EventFilter{}); fmt.Sprint(got) != "[11]" {
			t.Errorf("at once: %v", got)
		}
		later := j.after(11).changed
		time.Sleep(turnEvery)
		<-later
		for _, c := range []struct {
			seq    int64
			filter wire.EventFilter
			want   string
		}{
			{10, wire.EventFilter{}, "[11 12 13 14 15]"},
			{13, wire.EventFilter{}, "[14 15]"},
			{15, wire.EventFilter{}, "[]"},
			{99, wire.EventFilter{}, "[]"},
			{10, wire.EventFilter{Device: "b"}, "[12 14]"},
			{12, wire.EventFilter{Device: "b"}, "[14]"},
			{9, wire.EventFilter{}, "[missing to 10]"},
		} {
			if got := fmt.Sprint(j.numbers(c.seq, c.filter)); got != c.want {
				t.Errorf("after %d, %+v: %s, want %s", c.seq, c.filter, got, c.want)
			}
		}
	})
}

// What is kept is bounded, and who is behind that knows it.
func TestBulletinForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newBulletin(nil, nil)
		leave := j.follow()
		j.start(time.Now(), 0)
		reason := strings.Repeat("x", 100_000)
		const most = 60
		for seq := range int64(most) {
			j.add(&cluster.Event{Seq: seq + 1, Kind: cluster.TaskRequeued, Reason: reason})
			time.Sleep(turnEvery)
		}
		if j.size > mostBulletin || j.from == 0 {
			t.Errorf("%d bytes are kept, from %d", j.size, j.from)
		}
		if got := j.numbers(j.from-1, wire.EventFilter{}); fmt.Sprint(got) != fmt.Sprintf("[missing to %d]", j.from) {
			t.Error(got)
		}
		if got := j.numbers(j.from, wire.EventFilter{}); len(got) != most-int(j.from) {
			t.Error(got)
		}
		leave()
		if j.size != 0 || len(j.pages) != 0 || j.after(0).missing != 0 {
			t.Error("it keeps what nobody follows")
		}
	})
}

// A main node that was restored from a backup may know less than before: what is kept is forgotten then.
func TestBulletinOfAnotherLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newBulletin(nil, nil)
		defer j.follow()()
		first := time.Now()
		reading, stop := j.begin(t.Context())
		defer stop()
		j.start(first, 10)
		for seq := range int64(5) {
			j.add(&cluster.Event{Seq: 11 + seq, Kind: cluster.DeviceOnline})
		}
		time.Sleep(turnEvery)
		j.look(first)
		if reading.Err() != nil {
			t.Fatal("it reads anew though it is the same main node")
		}
		second := first.Add(time.Minute)
		j.look(second)
		if reading.Err() == nil {
			t.Fatal("it reads on, though the main node is another one")
		}
		if n := j.after(10); n.page != nil || n.missing != 0 || n.resets != 0 {
			t.Errorf("until it is read: %+v", n)
		}
		if after := j.start(second, 12); after != 12 {
			t.Errorf("it goes on after %d", after)
		}
		if n := j.after(15); n.resets != 1 || n.newest != 12 || n.page != nil {
			t.Errorf("%+v", n)
		}
		if after := j.start(second, 14); after != 12 || j.resets != 1 { // connected again
			t.Errorf("it goes on after %d", after)
		}
	})
}
