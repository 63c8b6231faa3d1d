package executor

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trace is what a directory shows of its last change, which nobody but the system can set.
type trace struct {
	certain bool
	mode    uint32
	inode   uint64
	changed syscall.Timespec
}

func traceOf(dir string) trace {
	var st syscall.Stat_t
	if syscall.Lstat(dir, &st) != nil {
		return trace{}
	}
	return trace{true, uint32(st.Mode), uint64(st.Ino), st.Ctim}
}

// settled says whether any change from now on would show: the system's clock for this has a grain.
func (t trace) settled() bool {
	return t.certain && time.Since(time.Unix(t.changed.Unix())) > time.Second
}

// unlockDir goes by way of /proc because Root.Chmod uses fchmodat2, which kills a process on older Androids.
func unlockDir(root *os.Root, path string) {
	f, err := root.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	os.Chmod("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), 0o700)
}
