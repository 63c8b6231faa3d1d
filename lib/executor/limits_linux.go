package executor

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
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

// limit sets the limits of all programs to come. A stricter one that this process was started with stays.
func (h *helper) limit() error {
	if err := lower(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if h.setup.FileSize > 0 {
		return lower(unix.RLIMIT_FSIZE, uint64(h.setup.FileSize))
	}
	return nil
}

// lower sets a limit of this process, unless it is lower.
func lower(what int, most uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	most = min(most, now.Max)
	return os.NewSyscallError("setrlimit", unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}))
}

// limitCPU has a program that is about to be started end when it has used its time, and all that it starts: they inherit this process's own limit, which
// only sends signals that are caught here, and is set anew because the system raises it each time.
func (h *helper) limitCPU() {
	seconds := uint64((h.setup.CPUTime + time.Second - 1) / time.Second)
	var now unix.Rlimit
	if seconds > 0 && unix.Getrlimit(unix.RLIMIT_CPU, &now) == nil {
		unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: min(seconds, now.Max), Max: now.Max})
	}
}

// limitProgram has a program that was just started killed a second after that, should it not heed the signal.
func (h *helper) limitProgram(pid int) {
	if seconds := uint64((h.setup.CPUTime + time.Second - 1) / time.Second); seconds > 0 {
		unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds + 1}, nil) // it is there: it was not waited for
	}
}

// meter measures the attempt that runs, again and again, more seldom as it runs on.
func (h *helper) meter() {
	h.weigh()
	if l := &h.launch.limits; l.Memory == 0 && l.Processes == 0 {
		return
	}
	wait := measureFirst
	h.repeat(wait, func() time.Duration {
		if over := h.excess(); over != 0 {
			h.over = over
			h.killTree()
			return 0
		}
		wait = min(wait*2, measureEvery)
		return wait
	})
}

func (h *helper) excess() excess {
	if over := h.group.excess(); over != 0 {
		return over
	}
	tree := h.tree()
	if h.launch.limits.Processes > 0 && len(tree) > h.launch.limits.Processes {
		return ofProcesses
	}
	if h.launch.limits.Memory > 0 && used(tree, resident) > h.launch.limits.Memory && used(tree, owned) > h.launch.limits.Memory {
		return ofMemory
	}
	return 0
}

// weigh looks at what is in the directory of the attempt that runs, the more seldom the longer that takes.
func (h *helper) weigh() {
	most, dir, attempt := h.launch.limits.Disk, h.launch.dir, h.attempt
	if most <= 0 {
		return
	}
	var once func()
	once = func() {
		begin := time.Now()
		bytes := held(dir)
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case h.attempt != attempt || h.leader == 0:
		case bytes > most:
			h.over = ofDisk
			h.killTree()
		default:
			time.AfterFunc(max(measureEvery, 20*time.Since(begin)), once)
		}
	}
	time.AfterFunc(measureFirst, once)
}

// held is what is in a directory, on the disk. What cannot be looked at counts for nothing.
func held(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is gone, or nobody may see it
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			bytes += st.Blocks * 512
		}
		return nil
	})
	return bytes
}

// used is what processes use together.
func used(tree []entry, by func(pid int) int64) (bytes int64) {
	for _, e := range tree {
		bytes += by(e.pid)
	}
	return bytes
}

var pageSize = int64(os.Getpagesize())

// resident is what a process has in memory, with what it shares: quick to know, and never too little but for what was swapped out.
func resident(pid int) int64 {
	var buf [128]byte
	f := bytes.Fields(buf[:readProc(pid, "statm", buf[:])])
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * pageSize
}

// owned is the memory that is there because of a process, in memory or swapped out, but not that of files; what is shared counts in parts. The system
// needs a while to know it. Where it does not say, it is what is resident.
func owned(pid int) int64 {
	var buf [4096]byte
	rollup := buf[:readProc(pid, "smaps_rollup", buf[:])]
	total, known := int64(0), false
	for line := range bytes.Lines(rollup) {
		f := bytes.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch string(f[0]) {
		case "Pss_Anon:", "Pss_Shmem:", "SwapPss:":
			kib, err := strconv.ParseInt(string(f[1]), 10, 64)
			total, known = total+kib<<10, known || err == nil
		}
	}
	if !known {
		return resident(pid)
	}
	return total
}
