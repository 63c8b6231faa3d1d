package mainnode

import (
	"container/heap"

	"github.com/retire-cluster/retire-cluster/lib/scheduler"
)

// ready is the devices that could be given something now, the roomiest first: those with a free slot before those that would hold something ahead.
type ready []*machine

func (r ready) Len() int           { return len(r) }
func (r ready) Less(i, j int) bool { return roomiest(r[i], r[j]) < 0 }
func (r ready) Swap(i, j int)      { r[i], r[j] = r[j], r[i]; r[i].at, r[j].at = i, j }

// Push and Pop are for container/heap.
func (r *ready) Push(d any) {
	m := d.(*machine)
	m.at = len(*r)
	*r = append(*r, m)
}

func (r *ready) Pop() any {
	last := len(*r) - 1
	d := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	d.at = notReady
	return d
}

const notReady = -1 // place of a machine that is not in ready

// place puts a device where it belongs after its room changed.
func (r *ready) place(d *machine) {
	if d.at == notReady {
		heap.Push(r, d)
	} else {
		heap.Fix(r, d.at)
	}
}

// leave takes a device out, if it is in.
func (r *ready) leave(d *machine) {
	if d.at != notReady {
		heap.Remove(r, d.at)
	}
}

func roomiest(a, b *machine) int {
	return scheduler.Roomiest(a.free(), a.row.Profile.Slots, b.free(), b.row.Profile.Slots, a.row.ID, b.row.ID)
}
