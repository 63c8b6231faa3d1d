package scheduler

import (
	"cmp"
	"container/heap"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// entry is a task in the order of its class.
type entry struct {
	id   task.ID
	rank int64 // the lower the earlier
}

func (e entry) before(o entry) bool {
	return cmp.Or(cmp.Compare(e.rank, o.rank), cmp.Compare(e.id, o.id)) < 0
}

// entries is a heap with the next one first.
type entries []entry

func (h *entries) push(e entry) {
	*h = append(*h, e)
	h.up(len(*h) - 1)
}

func (h *entries) pop() {
	last := len(*h) - 1
	(*h)[0] = (*h)[last]
	*h = (*h)[:last]
	h.down(0)
}

// keep drops the entries for which live does not say so.
func (h *entries) keep(live func(entry) bool) {
	kept := make(entries, 0, len(*h)/2)
	for _, e := range *h {
		if live(e) {
			kept = append(kept, e)
		}
	}
	*h = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h entries) up(i int) {
	for i > 0 && h[i].before(h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
}

func (h entries) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h) && h[child].before(h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// active is a heap of the classes with tasks in them: first the one with the first task.
type active []*class

const notActive = -1 // place of a class without tasks

func (a active) Len() int           { return len(a) }
func (a active) Less(i, j int) bool { return a[i].tasks[0].before(a[j].tasks[0]) }
func (a active) Swap(i, j int)      { a[i], a[j] = a[j], a[i]; a[i].at, a[j].at = i, j }

// Push and Pop are for container/heap.
func (a *active) Push(c any) {
	c.(*class).at = len(*a)
	*a = append(*a, c.(*class))
}

func (a *active) Pop() any {
	last := len(*a) - 1
	c := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	c.at = notActive
	return c
}

// place puts a class where it belongs after its first task changed.
func (a *active) place(c *class) {
	if c.at == notActive {
		heap.Push(a, c)
	} else {
		heap.Fix(a, c.at)
	}
}

// leave takes a class out that has no task any more.
func (a *active) leave(c *class) {
	last := len(*a) - 1
	at := c.at
	a.Swap(at, last)
	a.Pop()
	if at < last {
		heap.Fix(a, at)
	}
}

// frontier is the places in active that a search may look at next, the first in the order of the queue first.
type frontier struct {
	active active
	places []int
}

func (f *frontier) Len() int           { return len(f.places) }
func (f *frontier) Less(i, j int) bool { return f.active.Less(f.places[i], f.places[j]) }
func (f *frontier) Swap(i, j int)      { f.places[i], f.places[j] = f.places[j], f.places[i] }
func (f *frontier) Push(at any)        { f.places = append(f.places, at.(int)) }

func (f *frontier) Pop() any {
	last := len(f.places) - 1
	at := f.places[last]
	f.places = f.places[:last]
	return at
}

// add adds a place, if it is one.
func (f *frontier) add(at int) {
	if at < len(f.active) {
		heap.Push(f, at)
	}
}

// places says of which class a task is that waits. Tasks are numbered in the order of submission, so those that wait stand close together.
type places map[task.ID]*page

const pageSize = 1024

type page struct {
	class [pageSize]uint32 // 0: it does not wait
	used  int
}

func (p places) get(id task.ID) uint32 {
	if page := p[id/pageSize]; page != nil {
		return page.class[id%pageSize]
	}
	return 0
}

func (p places) set(id task.ID, class uint32) {
	at := p[id/pageSize]
	if at == nil {
		if class == 0 {
			return
		}
		at = new(page)
		p[id/pageSize] = at
	}
	was := &at.class[id%pageSize]
	switch {
	case *was == 0 && class != 0:
		at.used++
	case *was != 0 && class == 0:
		at.used--
	}
	*was = class
	if at.used == 0 {
		delete(p, id/pageSize)
	}
}
