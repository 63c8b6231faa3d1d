package executor

import (
	"fmt"
	"time"
)

// Limits is what one attempt may use of a device. A zero is no limit. On Linux and Android they hold for an attempt with all that it has started, except
// that CPU time is each process's; on other systems there are none.
type Limits struct {
	Memory    int64         `json:"memory,omitempty"`    // bytes of all its processes together, looked at every second or more often
	Processes int           `json:"processes,omitempty"` // looked at as often
	FileSize  int64         `json:"file_size,omitempty"` // bytes of each file that it writes
	CPUTime   time.Duration `json:"cpu_time,omitempty"`  // seconds of it, of each process
	Nice      int           `json:"nice,omitempty"`      // how far it stands back behind what else the device does; 0 to 19
}

// excess says which limit an attempt was ended for.
type excess uint32

const (
	ofMemory excess = 1 + iota
	ofProcesses
)

func (l *Limits) reason(e excess) string {
	if e == ofMemory {
		return fmt.Sprintf("it used more than %s of memory", size(l.Memory))
	}
	return fmt.Sprintf("it had more than %d processes", l.Processes)
}
