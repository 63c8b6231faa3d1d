package executor

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// unlockDir goes by way of /proc because Root.Chmod uses fchmodat2, which kills a process on older Androids.
func unlockDir(root *os.Root, path string) {
	f, err := root.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	os.Chmod("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), 0o700)
}
