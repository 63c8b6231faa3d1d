// Package scheduler owns the order of the queue and the choice of device: which task is next for this device, and why a
// task fits none. It is for mainnode alone; its API may change in any release. It is pure: no I/O, no clock.
//
// Tasks with the same requirements share a class, so that finding the next task of a device looks at one head for each
// class that fits it, however many tasks wait. Begin with Queue.
package scheduler

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Device is a device as the scheduler sees it.
type Device struct {
	Name    string
	Profile device.Profile

	fits map[*class]bool // remembered, until the profile changes
}

// NewDevice makes a device of its name and profile. A device whose profile changed is a new one.
func NewDevice(name string, p device.Profile) *Device {
	return &Device{Name: name, Profile: p, fits: map[*class]bool{}}
}

// Queue holds the tasks that wait: sixteen bytes and a place in a table for each, since there may be millions. It is not safe for many goroutines.
type Queue struct {
	step     time.Duration
	classes  map[kind]*class
	numbered []*class // by number; nil: the number is free
	free     []uint32 // numbers
	active   active   // those with tasks in them
	where    places
	many     int
	prio     map[task.Priority]int
	avoid    map[task.ID]string // the device that a task had better not get; few have one
	frontier frontier           // kept for the next search
}

// kind is what the tasks of a class have in common.
type kind struct {
	taskType string
	priority task.Priority
	needs    string
}

// class holds the tasks of one kind, next task first.
type class struct {
	kind
	needs  task.Requirements
	number uint32
	tasks  entries // some of them removed, but never the first; one that came back may be there twice, in the same place in the order
	live   int     // how many are not
	at     int     // in active; -1: not there
}

// NewQueue makes a queue in which waiting for step is worth one level of priority. A task's place follows from when it was
// submitted and its priority alone, so places never have to be computed anew, and nothing waits for ever behind newcomers.
func NewQueue(step time.Duration) *Queue {
	return &Queue{step: step, classes: map[kind]*class{}, numbered: make([]*class, 1), where: places{}, prio: map[task.Priority]int{}, avoid: map[task.ID]string{}}
}

// Item is a task that waits.
type Item struct {
	ID        task.ID
	Type      string
	Priority  task.Priority
	Submitted time.Time
	Needs     task.Requirements
	Avoid     string // a device to be avoided where another fits
}

// Push puts a task into the queue. One that is there already is left as it is.
func (q *Queue) Push(it Item) {
	if q.Has(it.ID) {
		return
	}
	c := q.class(it.Type, it.Priority, &it.Needs)
	q.where.set(it.ID, c.number)
	q.many++
	q.prio[it.Priority]++
	if it.Avoid != "" {
		q.avoid[it.ID] = it.Avoid
	}
	c.live++
	c.tasks.push(entry{it.ID, it.Submitted.UnixMilli() - int64(it.Priority)*q.step.Milliseconds()})
	q.active.place(c)
}

// Remove takes a task out of the queue; ok is false where it was not there.
func (q *Queue) Remove(id task.ID) (ok bool) {
	c := q.numbered[q.where.get(id)]
	if c == nil {
		return false
	}
	q.where.set(id, 0)
	q.many--
	q.prio[c.priority]--
	delete(q.avoid, id)
	if c.live--; c.live == 0 {
		q.drop(c)
		return true
	}
	isLive := func(e entry) bool { return q.where.get(e.id) == c.number }
	for !isLive(c.tasks[0]) {
		c.tasks.pop()
	}
	if len(c.tasks) > 2*c.live+64 {
		c.tasks.keep(isLive)
	}
	q.active.place(c)
	return true
}

// Has says whether a task waits.
func (q *Queue) Has(id task.ID) bool { return q.where.get(id) != 0 }

// Len is the number of tasks that wait.
func (q *Queue) Len() int { return q.many }

// Classes is the number of different requirements that wait.
func (q *Queue) Classes() int { return len(q.active) }

// ByPriority is the number of tasks that wait at a priority.
func (q *Queue) ByPriority(p task.Priority) int { return q.prio[p] }

// EachClass calls do for each kind of task that waits, in no order, with the first task of it, as long as it says so.
func (q *Queue) EachClass(do func(taskType string, needs *task.Requirements, first task.ID) bool) {
	for _, c := range q.active {
		if !do(c.taskType, &c.needs, c.tasks[0].id) {
			return
		}
	}
}

// Next is the next task for a device; it stays in the queue. elsewhere says whether some other device would take a task of this one's
// kind now, so that a task may avoid the device that it failed on. It looks at the heads of classes in the order of the queue until one fits.
func (q *Queue) Next(d *Device, elsewhere func(Item) bool) (id task.ID, ok bool) {
	f := &q.frontier
	*f = frontier{q.active, f.places[:0]}
	for f.add(0); f.Len() > 0; {
		at := heap.Pop(f).(int)
		c := q.active[at]
		if head := c.tasks[0].id; d.takes(c) && !q.spared(head, c, d, elsewhere) {
			return head, true
		}
		f.add(2*at + 1)
		f.add(2*at + 2)
	}
	return 0, false
}

// spared says whether the task had better wait for another device.
func (q *Queue) spared(id task.ID, c *class, d *Device, elsewhere func(Item) bool) bool {
	avoid := q.avoid[id]
	return avoid != "" && avoid == d.Name && elsewhere != nil && elsewhere(Item{ID: id, Type: c.taskType, Needs: c.needs, Avoid: avoid})
}

// takes says whether tasks of the class fit the device.
func (d *Device) takes(c *class) bool {
	fits, known := d.fits[c]
	if !known {
		fits = WhyNot(c.taskType, &c.needs, d.Name, &d.Profile) == ""
		d.fits[c] = fits
	}
	return fits
}

func (q *Queue) class(taskType string, p task.Priority, needs *task.Requirements) *class {
	k := kind{taskType, p, needsKey(needs)}
	c := q.classes[k]
	if c == nil {
		c = &class{kind: k, needs: *needs, at: notActive}
		if last := len(q.free) - 1; last >= 0 {
			c.number, q.free = q.free[last], q.free[:last]
			q.numbered[c.number] = c
		} else {
			c.number = uint32(len(q.numbered))
			q.numbered = append(q.numbered, c)
		}
		q.classes[k] = c
	}
	return c
}

// drop empties a class without tasks. Devices that remember it are cleaned as they are asked next.
func (q *Queue) drop(c *class) {
	c.tasks = nil
	q.active.leave(c)
	if len(q.classes) > 2*len(q.active)+64 {
		q.forget()
	}
}

// forget removes the classes that have been empty, so that requirements that never come back cost nothing. What devices
// remember of them goes as the devices register anew; a class that comes back is a new one.
func (q *Queue) forget() {
	for k, c := range q.classes {
		if c.at == notActive {
			delete(q.classes, k)
			q.numbered[c.number] = nil
			q.free = append(q.free, c.number)
		}
	}
}

// Trim lets a device forget what it remembers of classes that are gone.
func (d *Device) Trim() {
	if len(d.fits) < 1024 {
		return
	}
	for c := range d.fits {
		if c.at == notActive {
			delete(d.fits, c)
		}
	}
}

// Roomiest orders devices by how free they are: the share of free slots first, so that load spreads evenly over big and
// small ones, then by name, so that the order never depends on a map.
func Roomiest(aFree, aSlots, bFree, bSlots int, aName, bName string) int {
	return cmp.Or(cmp.Compare(bFree*aSlots, aFree*bSlots), cmp.Compare(bFree, aFree), cmp.Compare(aName, bName))
}

func sortedTags(tags []string) []string {
	s := slices.Clone(tags)
	slices.Sort(s)
	return slices.Compact(s)
}
