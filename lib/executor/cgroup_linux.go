package executor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Control groups, version 2 (admin-guide/cgroup-v2 of the kernel's documentation), where this process may make some: one of its own for each slot, so that
// the kernel keeps an attempt's memory, processes and CPU.

const cgroupPrefix = "rc-workerd-" // of the names of executors' groups

// cgroups is an executor's part of the tree.
type cgroups struct {
	parent string // where this process was found
	dir    string
	moved  bool     // this process is in dir/main; no processes may stand beside groups that are controlled
	has    []string // of the controllers that are of use
	last   int
}

// openCgroups makes a group below that of this process, whose folder is parent. The error says why there can be none.
func openCgroups(parent string) (*cgroups, error) {
	cleanCgroups(parent)
	g := &cgroups{parent: parent, dir: filepath.Join(parent, cgroupPrefix+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, errors.New("no control group may be made here")
	}
	if err := g.control(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// ownCgroup is the folder of the group that this process is in.
func ownCgroup() (string, error) {
	none := errors.New("no cgroup v2 here")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", none
	}
	mount := ""
	for line := range strings.Lines(string(mounts)) {
		if before, after, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(after, "cgroup2 ") {
			if f := strings.Fields(before); len(f) > 4 {
				mount = f[4]
			}
		}
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if mount == "" || err != nil {
		return "", none
	}
	for line := range strings.Lines(string(own)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join(mount, strings.TrimSpace(path)), nil
		}
	}
	return "", none
}

// control has the kernel control what is in the group.
func (g *cgroups) control() error {
	all, err := os.ReadFile(filepath.Join(g.parent, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(g.parent, "cgroup.type")); err == nil { // it is not the root
		main := filepath.Join(g.dir, "main")
		if err := os.Mkdir(main, 0o755); err != nil {
			return err
		}
		if err := enterGroup(main, os.Getpid()); err != nil {
			return err
		}
		g.moved = true
	}
	for _, c := range []string{"memory", "pids", "cpu"} {
		if !slices.Contains(strings.Fields(string(all)), c) {
			continue
		}
		writeGroup(g.parent, "cgroup.subtree_control", "+"+c) // it may be so already
		if writeGroup(g.dir, "cgroup.subtree_control", "+"+c) == nil {
			g.has = append(g.has, c)
		}
	}
	if !g.keeps("memory") && !g.keeps("pids") {
		return errors.New("no control of memory and processes is delegated to this worker")
	}
	return nil
}

func (g *cgroups) keeps(controller string) bool {
	return g != nil && slices.Contains(g.has, controller)
}

func enterGroup(dir string, pid int) error { return writeGroup(dir, "cgroup.procs", strconv.Itoa(pid)) }

func writeGroup(dir, file, text string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644)
}

// slot makes the group of one slot.
func (g *cgroups) slot() (dir string, err error) {
	if g == nil {
		return "", nil
	}
	g.last++
	dir = filepath.Join(g.dir, "slot-"+strconv.Itoa(g.last))
	return dir, os.MkdirAll(dir, 0o755)
}

// close removes the group, and has this process go back to where it was.
func (g *cgroups) close() {
	if g == nil {
		return
	}
	if g.moved {
		g.uncontrol()
		enterGroup(g.parent, os.Getpid())
	}
	removeCgroup(g.dir)
}

// uncontrol takes back what keeps processes out of the parent.
func (g *cgroups) uncontrol() {
	for _, c := range g.has {
		writeGroup(g.dir, "cgroup.subtree_control", "-"+c)
		writeGroup(g.parent, "cgroup.subtree_control", "-"+c)
	}
}

// removeCgroup removes a group with those below it, if there is no process in them.
func removeCgroup(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	syscall.Rmdir(dir)
}

// cleanCgroups removes what executors that were killed have left.
func cleanCgroups(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix))
		if err == nil && syscall.Kill(pid, 0) != nil { // another worker's are left to it
			removeCgroup(dir)
		}
	}
}

// group is the control group of a slot, as its helper has it.
type group struct {
	dir    string
	fd     int
	files  map[string]*os.File
	has    []string // of the controllers
	limits Limits   // that are set
	ooms   int64    // how often a limit was met, when that was asked last
	forks  int64
}

// openGroup opens the group that programs are started in; nil: they have none.
func openGroup(s *setup) (*group, error) {
	if s.Cgroup == "" {
		return nil, nil
	}
	fd, err := syscall.Open(s.Cgroup, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	g := &group{dir: s.Cgroup, fd: fd, files: map[string]*os.File{}}
	for _, controller := range s.Keeps {
		if g.openFiles(groupFiles[controller]) == nil {
			g.has = append(g.has, controller)
		}
	}
	g.openFiles([]string{"cgroup.kill"})     // since Linux 5.14
	g.openFiles([]string{"memory.swap.max"}) // where there is swap
	return g, nil
}

// groupFiles are those that say what a controller keeps. They are opened before the thread that starts programs gives up its rights.
var groupFiles = map[string][]string{"memory": {"memory.max", "memory.oom.group"}, "pids": {"pids.max"}, "cpu": {"cpu.max"}}

func (g *group) openFiles(names []string) error {
	for _, name := range names {
		f, err := os.OpenFile(filepath.Join(g.dir, name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		g.files[name] = f
	}
	return nil
}

// write writes into one of the group's files.
func (g *group) write(file, text string) error {
	f := g.files[file]
	if f == nil {
		return os.ErrNotExist
	}
	f.Truncate(0) // which is nothing here, and something to a file in a test
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func (g *group) keeps(controller string) bool { return g != nil && slices.Contains(g.has, controller) }

// limit has the kernel keep the limits of the attempt that is about to begin. What it does not take is measured all the same.
func (g *group) limit(l *Limits) {
	if g == nil {
		return
	}
	if l.Memory != g.limits.Memory && g.keeps("memory") {
		g.set("memory.max", l.Memory != 0, strconv.FormatInt(l.Memory, 10))
		g.write("memory.oom.group", "1")
		if l.Memory != 0 {
			g.write("memory.swap.max", "0")
		} else {
			g.write("memory.swap.max", "max")
		}
	}
	if l.Processes != g.limits.Processes && g.keeps("pids") {
		g.set("pids.max", l.Processes != 0, strconv.Itoa(l.Processes*threadsEach+threadsMore))
	}
	if l.CPUs != g.limits.CPUs && g.keeps("cpu") {
		const period = 100_000 // microseconds, as it is unless somebody says otherwise
		g.set("cpu.max", l.CPUs != 0, fmt.Sprint(max(int(l.CPUs*period), 1000)))
	}
	g.limits = *l
	g.excess() // of the attempt before
}

// What the kernel counts is threads: its limit is for who starts more than can be counted here in time.
const (
	threadsEach = 8
	threadsMore = 256
)

func (g *group) set(file string, limited bool, most string) {
	if !limited {
		most = "max"
	}
	if g.write(file, most) != nil { // then it is measured
		g.has = slices.DeleteFunc(g.has, func(c string) bool { return slices.Contains(groupFiles[c], file) })
	}
}

// counted is a number that the kernel counts up in a file of the group.
func (g *group) counted(file, name string) int64 {
	b, _ := os.ReadFile(filepath.Join(g.dir, file))
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == name {
			n, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return n
		}
	}
	return 0
}

// excess says which limit the attempt has met since the last question.
func (g *group) excess() excess {
	if g == nil || g.limits.Memory == 0 && g.limits.Processes == 0 {
		return 0
	}
	ooms, forks := g.counted("memory.events", "oom_kill"), g.counted("pids.events", "max")
	over := excess(0)
	switch {
	case ooms > g.ooms:
		over = ofMemory
	case forks > g.forks:
		over = ofProcesses
	}
	g.ooms, g.forks = ooms, forks
	return over
}

// kill kills all that is in the group, at once.
func (g *group) kill() {
	if g != nil {
		g.write("cgroup.kill", "1")
	}
}
