package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Limits as a slot helper keeps them. What the kernel keeps for a process and its children is set once, in the helper, or when a program is started; the
// rest is measured while an attempt runs on.

const (
	measureFirst = 50 * time.Millisecond
	measureEvery = time.Second
)

// encode is the argument of a helper that says its limits.
func (l *Limits) encode() string {
	b, err := json.Marshal(l)
	if err != nil { // of plain fields
		return "{}"
	}
	return string(b)
}

// limit takes the limits of all programs to come.
func (h *helper) limit(encoded string) error {
	if err := json.Unmarshal([]byte(encoded), &h.limits); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	set := func(what int, most uint64) error {
		return os.NewSyscallError("setrlimit", unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}))
	}
	if err := set(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if h.limits.FileSize > 0 {
		if err := set(unix.RLIMIT_FSIZE, uint64(h.limits.FileSize)); err != nil {
			return err
		}
	}
	if h.limits.Nice > 0 { // of this thread, and so of what it starts
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, h.limits.Nice); err != nil {
			return os.NewSyscallError("setpriority", err)
		}
	}
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// limitProgram limits a program that was just started.
func (h *helper) limitProgram(pid int) {
	if seconds := uint64(h.limits.CPUTime / time.Second); seconds > 0 {
		unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds + 1}, nil) // it is there: it was not waited for
	}
}

// meter measures the attempt that runs, again and again, more seldom as it runs on.
func (h *helper) meter() {
	if h.limits.Memory == 0 && h.limits.Processes == 0 {
		return
	}
	attempt, wait := h.attempt, measureFirst
	var measure func()
	measure = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.attempt != attempt || h.leader == 0 {
			return
		}
		if h.over = h.excess(); h.over != 0 {
			h.killTree()
			return
		}
		wait = min(wait*2, measureEvery)
		time.AfterFunc(wait, measure)
	}
	time.AfterFunc(wait, measure)
}

func (h *helper) excess() excess {
	tree := h.tree()
	if h.limits.Processes > 0 && len(tree) > h.limits.Processes {
		return ofProcesses
	}
	if h.limits.Memory == 0 {
		return 0
	}
	var used int64
	for _, e := range tree {
		used += resident(e.pid)
	}
	if used > h.limits.Memory {
		return ofMemory
	}
	return 0
}

var pageSize = int64(os.Getpagesize())

// resident is the memory of a process that is its own: what it shares with others counts once, with nobody.
func resident(pid int) int64 {
	var buf [128]byte
	f := bytes.Fields(buf[:readProc(pid, "statm", buf[:])])
	if len(f) < 3 {
		return 0
	}
	all, _ := strconv.ParseInt(string(f[1]), 10, 64)
	shared, _ := strconv.ParseInt(string(f[2]), 10, 64)
	return max(all-shared, 0) * pageSize
}
