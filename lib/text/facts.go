package text

import (
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Fact is a line of what there is to know of a thing, for what lays it out itself. Both are safe to show.
type Fact struct{ Name, Value string }

// DeviceFacts are those that Device prints.
func DeviceFacts(d *device.Device, s Style) []Fact {
	p := &Printer{format: Table, style: s}
	return facts(p.deviceState(d), deviceHardware(d), deviceSystem(d))
}

// TaskFacts are those that Task prints.
func TaskFacts(t *task.Task, s Style) []Fact {
	p := &Printer{format: Table, style: s}
	return facts(taskWhat(t), p.taskState(t), taskWants(&t.Spec), broughtBack(t))
}

func facts(groups ...[]pair) (all []Fact) {
	for _, l := range slices.Concat(groups...) {
		if l.value != "" {
			all = append(all, Fact{l.key, Sanitize(l.value)})
		}
	}
	return all
}
