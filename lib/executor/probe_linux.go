package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What this system can do to confine attempts is tried in a process that is thrown away: a system call that is not allowed may kill it.

const (
	probeName  = "rc-workerd: probe" // argv[0]
	probeMark  = "__probe"           // argv[1]
	probeLimit = 10 * time.Second
)

// probed is what a probe says.
type probed struct{ Start, Landlock, User, Group string } // why not; "": it works

// confine finds out how far the system can keep attempts from the rest of the device.
func (x *Executor) confine() {
	s := &x.slots
	s.base = x.options.Dir
	if s.off {
		x.confined = Confinement{Level: LevelNone, Gaps: []string{"attempts have no helper that answers for all of their processes"}}
		return
	}
	c := confinement{tree: true}
	var gaps []string
	miss := func(what, why string) { gaps = append(gaps, gap(what, why)) }
	s.setup = setup{Limits: x.options.Limits, Sandbox: x.options.Sandbox.real()}
	own, err := ownCgroup()
	if err == nil {
		s.cgroups, err = openCgroups(own)
	}
	if err == nil {
		s.setup.Cgroup, err = s.cgroups.slot()
	}
	if err != nil {
		miss("memory and processes: measured, not limited by the kernel", err.Error())
	}
	if s.setup.User != 0 && os.Getuid() == 0 { // they have to get to their directories
		os.Chmod(x.options.Dir, 0o711)
	}
	p := x.probe()
	if p.Start != "" {
		s.off = true
		s.cgroups.close()
		x.confined = Confinement{Level: LevelNone, Gaps: []string{gap("attempts have no helper that answers for all of their processes", p.Start)}}
		return
	}
	if s.setup.Cgroup != "" {
		removeCgroup(s.setup.Cgroup)
		s.setup.Cgroup = ""
		if p.Group != "" {
			miss("memory and processes: measured, not limited by the kernel", p.Group)
			s.cgroups.close()
			s.cgroups = nil
		}
	}
	if c.landlock = p.Landlock == ""; !c.landlock {
		miss("files: a task can read and change what the worker can", p.Landlock)
	}
	s.setup.Landlock = c.landlock
	if c.user = p.User == ""; !c.user {
		s.setup.User = 0
		miss("user: tasks run as the worker's", p.User)
	}
	if s.cgroups != nil {
		s.setup.Keeps = s.cgroups.has
	}
	c.kernel = s.cgroups.keeps("memory") && s.cgroups.keeps("pids")
	x.confined = Confinement{Level: c.level(), Gaps: gaps}
}

// owner is whose the files of an attempt are; 0: this process's.
func (x *Executor) owner() int { return x.slots.setup.User }

// real is the sandbox with the names that the kernel knows files by.
func (s Sandbox) real() Sandbox {
	all := func(paths []string) (found []string) {
		for _, p := range paths {
			if abs, err := filepath.Abs(p); err == nil {
				p = abs
			}
			if real, err := filepath.EvalSymlinks(p); err == nil {
				p = real
			}
			found = append(found, p)
		}
		return found
	}
	s.Hidden, s.Readable, s.Writable = all(s.Hidden), all(s.Readable), all(s.Writable)
	return s
}

// probe tries the sandbox.
func (x *Executor) probe() probed {
	failed := func(err error) probed { return probed{Landlock: err.Error(), User: err.Error(), Group: err.Error()} }
	switch {
	case len(x.options.Sandbox.Hidden)+len(x.options.Sandbox.Writable) == 0 && x.options.Sandbox.User == 0:
		return failed(errors.New("it is not asked for"))
	case isAndroid(): // what is not asked for is not tried
		x.slots.setup.Sandbox = Sandbox{}
	}
	dir, err := os.MkdirTemp(x.options.Dir, dirPrefix+"*")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	said, err := x.startProbe(dir)
	if err != nil { // as a helper could not be started, either
		return probed{Start: err.Error()}
	}
	var p probed
	if err := json.Unmarshal(said, &p); err != nil {
		return failed(fmt.Errorf("the probe was killed: %w", err))
	}
	return p
}

func (x *Executor) startProbe(dir string) (said []byte, err error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark, dir, x.slots.setup.encode()}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{x.null.Fd(), theirs.Fd(), x.null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	theirs.Close()
	if err != nil {
		return nil, err
	}
	ours.SetReadDeadline(time.Now().Add(probeLimit))
	said, _ = io.ReadAll(ours)
	syscall.Kill(pid, syscall.SIGKILL)
	reap(pid)
	return said, nil
}

// runProbe is all that a probe does: it tries each, and writes what came of it.
func runProbe() {
	if len(os.Args) != 4 {
		os.Exit(0) // the program that a probe starts as another user
	}
	dir, s := os.Args[2], setup{}
	if json.Unmarshal([]byte(os.Args[3]), &s) != nil {
		os.Exit(64)
	}
	said := probed{Start: tryHelper(), User: tryUser(dir, s.User), Group: tryGroup(&s)}
	said.Landlock = tryLandlock(dir, &s.Sandbox)
	json.NewEncoder(os.Stdout).Encode(said)
	os.Exit(0)
}

func isAndroid() bool { return runtime.GOOS == "android" || termux() != "" }

// tryHelper does what a helper cannot be without: it becomes the parent of orphans, and sees that a child has ended without waiting for it.
func tryHelper() (why string) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err).Error()
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark}, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return err.Error()
	}
	if dead, err := awaitAny(); err != nil || dead != pid {
		return fmt.Sprintf("a child is %d, and %d has ended: %v", pid, dead, err)
	}
	reap(pid)
	return ""
}

// tryUser starts a program as another user, in a private directory.
func tryUser(dir string, user int) (why string) {
	switch {
	case isAndroid():
		return "an app of Android has one user"
	case user == 0:
		return "none is set"
	case os.Getuid() != 0:
		return "only root can give them another"
	}
	if err := os.Chown(dir, user, user); err != nil {
		return err.Error()
	}
	defer os.Chown(dir, 0, 0)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark}, &syscall.ProcAttr{
		Dir: dir, Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}},
	})
	if err != nil {
		return fmt.Sprintf("user %d cannot work in %s: %v", user, dir, err)
	}
	if status, _, err := reap(pid); err != nil || status.ExitStatus() != 0 {
		return "a program of theirs does not run"
	}
	return ""
}

// tryGroup starts a program in a control group.
func tryGroup(s *setup) (why string) {
	g, err := openGroup(s)
	if g == nil {
		return "there is none"
	}
	if err == nil {
		none := setup{}
		var pid int
		pid, err = syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark}, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: none.attributes(g)})
		if err == nil {
			reap(pid)
			return ""
		}
	}
	return err.Error()
}

// tryLandlock has a thread give up its rights, and looks whether they are gone.
func tryLandlock(dir string, s *Sandbox) (why string) {
	if isAndroid() { // it would kill this process
		return "Android has no Landlock for apps"
	}
	switch v := landlockVersion(); {
	case v == 0:
		return "no Landlock in this kernel, or it is not allowed here"
	case v < landlockLeast:
		return fmt.Sprintf("this kernel's Landlock is version %d, not %d", v, landlockLeast)
	}
	inside, outside := filepath.Join(dir, "x"), dir+".x"
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err.Error()
	}
	if err := s.restrict(dir); err != nil {
		return err.Error()
	}
	if err := os.WriteFile(inside, nil, 0o600); err != nil {
		return "it denies too much: " + err.Error()
	}
	os.Remove(inside)
	if os.WriteFile(outside, nil, 0o600) == nil && os.Remove(outside) == nil && !slices.ContainsFunc(s.Writable, func(w string) bool { return strings.HasPrefix(outside, strings.TrimSuffix(w, "/")+"/") }) {
		return "it is there, but denies nothing"
	}
	return ""
}
