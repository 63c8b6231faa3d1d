package executor

import (
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Limits is what one attempt may use of a device. A zero is no limit. On Linux and Android they hold for an attempt with all that it has started, except
// that CPU time is each process's; on other systems there are none.
type Limits struct {
	Memory    int64         `json:"memory,omitempty"`    // bytes of all its processes together, looked at every second or more often
	Processes int           `json:"processes,omitempty"` // looked at as often
	Disk      int64         `json:"disk,omitempty"`      // bytes in its private directory, looked at every few seconds
	FileSize  int64         `json:"file_size,omitempty"` // bytes of each file that it writes
	CPUTime   time.Duration `json:"cpu_time,omitempty"`  // seconds of it, of each process
	CPUs      float64       `json:"cpus,omitempty"`      // processors that all its processes together keep busy, over a second or so
	Nice      int           `json:"nice,omitempty"`      // how far it stands back behind what else the device does; 0 to 19
}

// with is the limits of a task that has its own, of which the stricter hold.
func (l Limits) with(own *task.Limits) Limits {
	if own != nil {
		l.Memory, l.Processes = stricter(l.Memory, own.Memory), stricter(l.Processes, own.Processes)
		l.Disk, l.CPUs = stricter(l.Disk, own.Disk), stricter(l.CPUs, own.CPUs)
	}
	return l
}

// stricter is the lower of two limits, of which 0 is none.
func stricter[N int | int64 | float64](a, b N) N {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// excess says which limit an attempt was ended for.
type excess uint32

const (
	ofMemory excess = 1 + iota
	ofProcesses
	ofDisk
)

func (l *Limits) reason(e excess) string {
	switch e {
	case ofMemory:
		return fmt.Sprintf("it used more than %s of memory", size(l.Memory))
	case ofDisk:
		return fmt.Sprintf("its directory held more than %s", size(l.Disk))
	}
	return fmt.Sprintf("it had more than %d processes", l.Processes)
}
