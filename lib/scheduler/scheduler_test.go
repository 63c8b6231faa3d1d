package scheduler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

var start = time.Unix(1_000_000, 0)

func pi(name string, change ...func(*device.Profile)) *Device {
	p := device.Profile{Info: device.Info{Platform: "linux", Role: "board"}, Hardware: device.Hardware{CPUCores: 4, Memory: 4 << 30, Disk: 32 << 30},
		TaskTypes: []string{"echo", "shell"}, Tags: []string{"kitchen", "usb"}, Slots: 4, Sandbox: 2}
	for _, c := range change {
		c(&p)
	}
	return NewDevice(name, p)
}

func TestWhyNot(t *testing.T) {
	for _, c := range []struct {
		taskType string
		needs    task.Requirements
		why      string // a part of it; empty: it fits
	}{
		{"echo", task.Requirements{}, ""},
		{"echo", task.Requirements{CPUCores: 4, MemoryGB: 4, StorageGB: 32, Platform: "linux", Role: "board", Tags: []string{"usb", "kitchen"}, Device: "pi"}, ""},
		{"resize", task.Requirements{}, "no task type resize"},
		{"echo", task.Requirements{CPUCores: 5}, "4 cores and not 5"},
		{"echo", task.Requirements{MemoryGB: 4.1}, "memory"},
		{"echo", task.Requirements{StorageGB: 33}, "disk"},
		{"echo", task.Requirements{Platform: "android"}, "platform is linux"},
		{"echo", task.Requirements{Role: "mobile"}, "role is board"},
		{"echo", task.Requirements{Tags: []string{"kitchen", "garden"}}, "no tag garden"},
		{"echo", task.Requirements{Device: "pi2"}, "is not pi2"},
		{"echo", task.Requirements{GPU: true}, "no GPU"},
		{"echo", task.Requirements{Sandbox: 2}, ""},
		{"echo", task.Requirements{Sandbox: 3}, "confines tasks at level 2, not 3"},
		{"echo", task.Requirements{Provision: true}, "knows neither files nor limits"},
		{"echo", task.Requirements{Secrets: true}, "knows no secrets"},
	} {
		d := pi("pi")
		why := WhyNot(c.taskType, &c.needs, d.Name, &d.Profile)
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s %+v: %q, want %q", c.taskType, c.needs, why, c.why)
		}
	}
	for _, idle := range []*Device{pi("a", func(p *device.Profile) { p.Slots = 0 }), pi("b", func(p *device.Profile) { p.TaskTypes = nil })} {
		if WhyNot("echo", &task.Requirements{}, idle.Name, &idle.Profile) == "" {
			t.Errorf("%s was given a task", idle.Name)
		}
	}
}

func drain(q *Queue, d *Device) (order []task.ID) {
	for {
		id, ok := q.take(d, nil)
		if !ok {
			return order
		}
		order = append(order, id)
	}
}

func TestOrder(t *testing.T) {
	q := NewQueue(time.Hour)
	push := func(id task.ID, p task.Priority, after time.Duration, needs task.Requirements) {
		q.Push(Item{ID: id, Type: "echo", Priority: p, Submitted: start.Add(after), Needs: needs})
	}
	push(1, task.Normal, 0, task.Requirements{})
	push(2, task.Normal, time.Second, task.Requirements{CPUCores: 2})
	push(3, task.Low, 0, task.Requirements{})
	push(4, task.Urgent, time.Minute, task.Requirements{Tags: []string{"usb"}})
	push(5, task.High, time.Minute, task.Requirements{Tags: []string{"usb"}})
	push(6, task.Urgent, 3*time.Hour, task.Requirements{})                 // too late to pass those that waited for an hour a level
	push(7, task.Normal, -time.Hour, task.Requirements{Device: "another"}) // fits no one here
	push(1, task.Urgent, 0, task.Requirements{})                           // is there already
	if got, want := fmt.Sprint(drain(q, pi("pi"))), fmt.Sprint([]task.ID{4, 5, 1, 2, 3, 6}); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if q.Len() != 1 || q.ByPriority(task.Normal) != 1 || q.ByPriority(task.Urgent) != 0 || q.Classes() != 1 {
		t.Errorf("%d tasks of %d classes are left", q.Len(), q.Classes())
	}
}

// However many urgent tasks keep coming, a low one has its turn.
func TestNothingStarves(t *testing.T) {
	q := NewQueue(time.Hour)
	q.Push(Item{ID: 1, Type: "echo", Priority: task.Low, Submitted: start})
	for n := task.ID(2); ; n++ {
		now := start.Add(time.Duration(n) * time.Minute)
		q.Push(Item{ID: n, Type: "echo", Priority: task.Urgent, Submitted: now})
		if id, _ := q.take(pi("pi"), nil); id == 1 {
			break
		}
		if now.Sub(start) > 4*time.Hour {
			t.Fatal("the low task starves")
		}
	}
}

func TestAvoidsTheDeviceThatItFailedOn(t *testing.T) {
	for _, other := range []bool{true, false} {
		q := NewQueue(time.Hour)
		q.Push(Item{ID: 1, Type: "echo", Submitted: start, Avoid: "pi"})
		q.Push(Item{ID: 2, Type: "shell", Submitted: start.Add(time.Second)})
		id, _ := q.Next(pi("pi"), func(Item) bool { return other })
		if want := map[bool]task.ID{true: 2, false: 1}[other]; id != want {
			t.Errorf("another device fits: %v: got %d, want %d", other, id, want)
		}
	}
}

// Whatever is pushed and removed, Next gives what a plain search would.
func TestAgainstPlainSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := NewQueue(time.Hour)
	plain := map[task.ID]Item{}
	devices := []*Device{pi("a"), pi("b", func(p *device.Profile) { p.Tags = nil }), pi("c", func(p *device.Profile) { p.Hardware.CPUCores = 1 })}
	for n := task.ID(1); n < 20_000; n++ {
		switch r.IntN(4) {
		case 0, 1:
			it := Item{ID: n, Type: "echo", Priority: task.Priority(r.IntN(4) - 1), Submitted: start.Add(time.Duration(r.IntN(1e6)) * time.Second),
				Needs: task.Requirements{CPUCores: r.IntN(3), Tags: [][]string{nil, {"usb"}, {"usb", "kitchen"}, {"kitchen", "usb"}}[r.IntN(4)]}}
			q.Push(it)
			plain[n] = it
		case 2:
			id := task.ID(r.IntN(int(n)) + 1)
			if _, there := plain[id]; q.Remove(id) != there {
				t.Fatalf("remove %d: it was there: %v", id, there)
			}
			delete(plain, id)
		case 3:
			d := devices[r.IntN(len(devices))]
			d.Trim()
			got, ok := q.take(d, nil)
			if want := search(plain, d); got != want || ok != (want != 0) {
				t.Fatalf("next for %s is %d, want %d", d.Name, got, want)
			}
			delete(plain, got)
		}
		if q.Len() != len(plain) {
			t.Fatalf("%d wait, want %d", q.Len(), len(plain))
		}
	}
}

func search(all map[task.ID]Item, d *Device) (best task.ID) {
	rank := func(it Item) int64 { return it.Submitted.Unix() - int64(it.Priority)*3600 }
	for id, it := range all {
		if WhyNot(it.Type, &it.Needs, d.Name, &d.Profile) != "" {
			continue
		}
		if b, ok := all[best]; !ok || rank(it) < rank(b) || rank(it) == rank(b) && id < best {
			best = id
		}
	}
	return best
}

func TestRoomiest(t *testing.T) {
	for _, c := range []struct {
		aFree, aSlots, bFree, bSlots int
		first                        string
	}{{1, 1, 3, 4, "a"}, {1, 2, 3, 4, "b"}, {2, 4, 4, 8, "b"}, {2, 4, 2, 4, "a"}, {1, 8, 1, 2, "b"}} {
		if got := Roomiest(c.aFree, c.aSlots, c.bFree, c.bSlots, "a", "b") < 0; got != (c.first == "a") {
			t.Errorf("%+v: a first: %v", c, got)
		}
	}
}

// take takes the next task for a device out of the queue.
func (q *Queue) take(d *Device, elsewhere func(Item) bool) (task.ID, bool) {
	id, ok := q.Next(d, elsewhere)
	q.Remove(id)
	return id, ok
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q, d := NewQueue(time.Hour), pi("pi")
			for n := range size {
				q.Push(Item{ID: task.ID(n + 1), Type: "echo", Submitted: start.Add(time.Duration(n) * time.Millisecond)})
			}
			next := task.ID(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := q.take(d, nil); !ok {
					b.Fatal("empty")
				}
				next++
				q.Push(Item{ID: next, Type: "echo", Submitted: start.Add(time.Duration(next) * time.Millisecond)})
			}
		})
	}
}
