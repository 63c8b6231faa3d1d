// Package scheduler owns the order of the queue and the choice of device: which task is next for this device, and why a
// task fits none. It is for mainnode alone; its API may change in any release. It is pure: no I/O, no clock.
//
// Tasks with the same requirements share a class, so that finding the next task of a device looks at one head for each
// class that fits it, however many tasks wait. Begin with Queue.
package scheduler

import (
	"cmp"
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

// Queue holds the tasks that wait. It is not safe for many goroutines.
type Queue struct {
	step    time.Duration
	classes map[string]*class // by their key
	active  []*class          // those with tasks in them
	where   map[task.ID]*entry
	prio    map[task.Priority]int
}

// class holds the tasks of one type with the same requirements, next task first.
type class struct {
	key      string
	taskType string
	needs    task.Requirements
	tasks    heap
	at       int // in active; -1: not there
}

type entry struct {
	id       task.ID
	rank     int64 // the lower the earlier
	priority task.Priority
	avoid    string // a device that it failed on: another is taken where one fits
	class    *class
	at       int // in its class's heap
}

// NewQueue makes a queue in which waiting for step is worth one level of priority. A task's place follows from when it was
// submitted and its priority alone, so places never have to be computed anew, and nothing waits for ever behind newcomers.
func NewQueue(step time.Duration) *Queue {
	return &Queue{step: step, classes: map[string]*class{}, where: map[task.ID]*entry{}, prio: map[task.Priority]int{}}
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
	if _, ok := q.where[it.ID]; ok {
		return
	}
	c := q.class(it.Type, it.Needs)
	e := &entry{id: it.ID, rank: it.Submitted.UnixMilli() - int64(it.Priority)*q.step.Milliseconds(), priority: it.Priority, avoid: it.Avoid, class: c}
	q.where[it.ID] = e
	q.prio[it.Priority]++
	c.tasks.push(e)
	if c.at < 0 {
		c.at = len(q.active)
		q.active = append(q.active, c)
	}
}

// Remove takes a task out of the queue; ok is false where it was not there.
func (q *Queue) Remove(id task.ID) (ok bool) {
	e, ok := q.where[id]
	if !ok {
		return false
	}
	delete(q.where, id)
	q.prio[e.priority]--
	e.class.tasks.remove(e.at)
	if len(e.class.tasks) == 0 {
		q.drop(e.class)
	}
	return true
}

// Len is the number of tasks that wait.
func (q *Queue) Len() int { return len(q.where) }

// Classes is the number of different requirements that wait.
func (q *Queue) Classes() int { return len(q.active) }

// ByPriority is the number of tasks that wait at a priority.
func (q *Queue) ByPriority(p task.Priority) int { return q.prio[p] }

// Next is the next task for a device; it stays in the queue. elsewhere says whether some other device would take a task of this one's
// kind now, so that a task may avoid the device that it failed on.
func (q *Queue) Next(d *Device, elsewhere func(Item) bool) (id task.ID, ok bool) {
	var best *entry
	for _, c := range q.active {
		if head := c.tasks[0]; (best == nil || less(head, best)) && d.takes(c) && !q.spared(head, d, elsewhere) {
			best = head
		}
	}
	if best == nil {
		return 0, false
	}
	return best.id, true
}

// spared says whether the task had better wait for another device.
func (q *Queue) spared(e *entry, d *Device, elsewhere func(Item) bool) bool {
	return e.avoid == d.Name && elsewhere != nil &&
		elsewhere(Item{ID: e.id, Type: e.class.taskType, Needs: e.class.needs, Avoid: e.avoid})
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

func (q *Queue) class(taskType string, needs task.Requirements) *class {
	key := classKey(taskType, &needs)
	c := q.classes[key]
	if c == nil {
		c = &class{key: key, taskType: taskType, needs: needs, at: -1}
		q.classes[key] = c
	}
	return c
}

// drop forgets a class without tasks. Devices that remember it are cleaned as they are asked next.
func (q *Queue) drop(c *class) {
	last := q.active[len(q.active)-1]
	q.active[c.at], last.at = last, c.at
	q.active = q.active[:len(q.active)-1]
	c.at = -1
	if len(q.classes) > 2*len(q.active)+64 {
		q.forget()
	}
}

// forget removes the classes that have been empty, so that requirements that never come back cost nothing. What devices
// remember of them goes as the devices register anew; a class that comes back is a new one.
func (q *Queue) forget() {
	for key, c := range q.classes {
		if c.at < 0 {
			delete(q.classes, key)
		}
	}
}

// Trim lets a device forget what it remembers of classes that are gone.
func (d *Device) Trim() {
	if len(d.fits) < 1024 {
		return
	}
	for c := range d.fits {
		if c.at < 0 {
			delete(d.fits, c)
		}
	}
}

func less(a, b *entry) bool {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.id, b.id)) < 0
}

// heap keeps the next entry first; every entry knows its place, so that any can be removed.
type heap []*entry

func (h *heap) push(e *entry) {
	e.at = len(*h)
	*h = append(*h, e)
	h.up(e.at)
}

func (h *heap) remove(i int) {
	last := len(*h) - 1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	if i < last {
		h.up(i)
		h.down(i)
	}
}

func (h heap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h heap) up(i int) {
	for i > 0 && less(h[i], h[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h heap) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h) && less(h[child], h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
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
