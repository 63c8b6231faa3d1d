package executor

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// entry is a process in the system's table.
type entry struct {
	pid, parent, group, session int
}

// processes reads the system's table of processes, without the dead.
func processes() (all []entry) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if e, ok := readEntry(pid); ok {
			all = append(all, e)
		}
	}
	return all
}

func readEntry(pid int) (e entry, ok bool) {
	var buf [512]byte
	f := readStat(pid, buf[:])
	if len(f) < 4 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return e, false
	}
	e.pid = pid
	e.parent, _ = strconv.Atoi(string(f[1]))
	e.group, _ = strconv.Atoi(string(f[2]))
	e.session, _ = strconv.Atoi(string(f[3]))
	return e, true
}

// isStopped says whether a process was stopped by a signal.
func isStopped(pid int) bool {
	var buf [512]byte
	f := readStat(pid, buf[:])
	return len(f) > 0 && f[0][0] == 'T'
}

// readStat reads what stands in the table about a process behind its name, which may hold anything: its state, its parent, its group, its session, …
func readStat(pid int, buf []byte) (fields [][]byte) {
	stat := buf[:readProc(pid, "stat", buf)]
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

// readProc reads the beginning of a file about a process. What is gone, or somebody else's, is empty.
func readProc(pid int, file string, buf []byte) (n int) {
	fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/"+file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer syscall.Close(fd)
	for n < len(buf) {
		m, err := syscall.Read(fd, buf[n:])
		if m <= 0 || err != nil {
			break
		}
		n += m
	}
	return n
}

// below are the descendants of those for whom root says so; these come with them if roots are wanted.
func below(all []entry, root func(entry) bool, roots bool) (found []entry) {
	children := make(map[int][]entry, len(all))
	seen := make(map[int]bool)
	var queue []entry
	for _, e := range all {
		children[e.parent] = append(children[e.parent], e)
		if root(e) {
			seen[e.pid] = true
			queue = append(queue, e)
		}
	}
	if roots {
		found = append(found, queue...)
	}
	for len(queue) > 0 {
		for _, e := range children[queue[0].pid] {
			if !seen[e.pid] {
				seen[e.pid] = true
				queue = append(queue, e)
				found = append(found, e)
			}
		}
		queue = queue[1:]
	}
	return found
}

// descendants are the living children of a process, and theirs.
func descendants(pid int) []entry {
	return below(processes(), func(e entry) bool { return e.pid == pid }, false)
}

// killAll kills those that find finds. They are stopped first, so that what they start meanwhile is not missed by the second look.
func killAll(find func() []entry) (n int) {
	for _, e := range find() {
		syscall.Kill(e.pid, syscall.SIGSTOP)
	}
	found := find()
	for _, e := range found {
		syscall.Kill(e.pid, syscall.SIGKILL)
	}
	return len(found)
}

// livesIn says whether a process works in, or was started for, a directory for which is says so.
func livesIn(pid int, is func(dir string) bool) bool {
	if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); err == nil && is(strings.TrimSuffix(cwd, " (deleted)")) {
		return true
	}
	var environ [16 << 10]byte
	for v := range bytes.SplitSeq(environ[:readProc(pid, "environ", environ[:])], []byte{0}) {
		if home, has := bytes.CutPrefix(v, []byte("HOME=")); has {
			return is(string(home))
		}
	}
	return false
}
