package executor

import (
	"bytes"
	"encoding/json"
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
type probed struct {
	Start, Landlock, User, Group string // why not; "": it works
	Version                      int    // of Landlock
}

// confine finds out how far the system can keep attempts from the rest of the device. The error is about this moment, in which that cannot be told.
func (x *Executor) confine() error {
	s := &x.slots
	s.base, s.log = x.options.Dir, x.options.Log
	if s.off {
		x.confined = Confinement{Level: LevelNone, Gaps: []string{"attempts have no helper that answers for all of their processes"}}
		return nil
	}
	s.setup = setup{Limits: x.options.Limits, Sandbox: x.options.Sandbox.absolute()}
	kernel := x.openGroups()
	if s.setup.User != 0 && os.Geteuid() == 0 { // they have to get to their directories
		os.Chmod(x.options.Dir, 0o711)
	}
	p, err := x.probe()
	if err != nil {
		return err
	}
	if p.Start != "" {
		s.off = true
		s.cgroups.close()
		x.confined = Confinement{Level: LevelNone, Gaps: []string{gap("attempts have no helper that answers for all of their processes", p.Start)}}
		return nil
	}
	x.take(&p, kernel)
	return nil
}

// openGroups makes control groups, and says why there are none.
func (x *Executor) openGroups() (why string) {
	s := &x.slots
	own, err := ownCgroup()
	if err == nil {
		s.cgroups, err = openCgroups(own)
	}
	if err == nil {
		s.setup.Keeps = s.cgroups.has
		s.setup.Cgroup, err = s.cgroups.slot()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// take uses what was seen to work.
func (x *Executor) take(p *probed, kernel string) {
	s := &x.slots
	c := confinement{tree: true, landlock: p.Landlock == "", user: p.User == "", root: os.Geteuid() == 0 && p.User != ""}
	var gaps []string
	miss := func(what, why string) { gaps = append(gaps, gap(what, why)) }
	if s.setup.Cgroup != "" {
		removeCgroup(s.setup.Cgroup)
		if s.setup.Cgroup = ""; p.Group != "" {
			kernel = p.Group
			s.cgroups.close()
			s.cgroups = nil
		}
	}
	if kernel != "" {
		miss("memory and processes: measured, not limited by the kernel", kernel)
	}
	switch s.setup.Landlock = c.landlock; {
	case !c.landlock:
		miss("files: a task can read and change what the worker can", p.Landlock)
	case c.root:
		miss("files: tasks run as root, who can read and change the disk itself", "")
	case p.Version < landlockScope:
		miss("signals: a task can end what is the worker's", fmt.Sprintf("this kernel's Landlock is version %d, not %d", p.Version, landlockScope))
	}
	if !c.user {
		s.setup.User, s.setup.Group = 0, 0
		miss("user: tasks run as the worker's", p.User)
	}
	c.kernel = s.cgroups.keeps("memory") && s.cgroups.keeps("pids")
	x.confined = Confinement{Level: c.level(), Gaps: gaps}
}

// absolute is the sandbox with names that are the same from everywhere.
func (s Sandbox) absolute() Sandbox {
	all := func(paths []string) (found []string) {
		for _, p := range paths {
			if abs, err := filepath.Abs(p); err == nil {
				p = abs
			}
			found = append(found, p)
		}
		return found
	}
	s.Hidden, s.Readable, s.Writable = all(s.Hidden), all(s.Readable), all(s.Writable)
	return s
}

const probeTries = 3

// probe tries the sandbox. The error says that it could not be tried.
func (x *Executor) probe() (p probed, err error) {
	const unasked = "it is not asked for"
	switch s := &x.options.Sandbox; {
	case len(s.Hidden)+len(s.Writable) == 0 && s.User == 0:
		return probed{Landlock: unasked, User: unasked, Group: unasked}, nil
	case isAndroid(): // what is not asked for is not tried
		x.slots.setup.Sandbox = Sandbox{}
	}
	for range probeTries {
		if p, err = x.tryOnce(); err == nil {
			return p, nil
		}
	}
	return p, err
}

func (x *Executor) tryOnce() (p probed, err error) {
	dir, err := os.MkdirTemp(x.options.Dir, dirPrefix+"*")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	said, status, err := x.startProbe(dir)
	if err != nil { // as a helper could not be started, either
		return probed{Start: err.Error()}, nil
	}
	p = probed{Start: "the probe was killed", User: "the probe was killed", Group: "the probe was killed", Landlock: "the system kills who asks for it"}
	for d := json.NewDecoder(bytes.NewReader(said)); d.Decode(&p) == nil; { // each line says more
	}
	if status.Signaled() && status.Signal() != syscall.SIGSYS {
		return p, fmt.Errorf("the probe was killed by %v", status.Signal())
	}
	return p, nil
}

func (x *Executor) startProbe(dir string) (said []byte, status syscall.WaitStatus, err error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, status, err
	}
	defer ours.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark, dir, x.slots.setup.encode()}, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []uintptr{x.null.Fd(), theirs.Fd(), x.null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	theirs.Close()
	if err != nil {
		return nil, status, err
	}
	ours.SetReadDeadline(time.Now().Add(probeLimit))
	if said, err = io.ReadAll(ours); err != nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	status, _, _ = reap(pid)
	return said, status, nil
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
	say := json.NewEncoder(os.Stdout)
	say.Encode(struct{ Start, User, Group string }{tryHelper(), tryUser(dir, &s), tryGroup(&s)})
	version, why := tryLandlock(dir, &s.Sandbox)
	say.Encode(struct {
		Version  int
		Landlock string
	}{version, why})
	os.Exit(0)
}

// owner is whose the files of an attempt are; 0: this process's.
func (x *Executor) owner() (user, group int) { return x.slots.setup.User, x.slots.setup.Group }

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
func tryUser(dir string, s *setup) (why string) {
	user, group := s.User, s.Group
	switch {
	case isAndroid():
		return "an app of Android has one user"
	case user == 0:
		return "none is set"
	case os.Getuid() != 0:
		return "only root can give them another"
	}
	if err := os.Chown(dir, user, group); err != nil {
		return err.Error()
	}
	defer os.Chown(dir, 0, 0)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{probeName, probeMark}, &syscall.ProcAttr{
		Dir: dir, Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(group)}},
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
func tryLandlock(dir string, s *Sandbox) (version int, why string) {
	if isAndroid() { // it would kill this process
		return 0, "Android has no Landlock for apps"
	}
	version = landlockVersion()
	switch {
	case version == 0:
		return 0, "no Landlock in this kernel, or it is not allowed here"
	case version < landlockLeast:
		return version, fmt.Sprintf("this kernel's Landlock is version %d, not %d", version, landlockLeast)
	}
	inside, outside := filepath.Join(dir, "x"), dir+".x"
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return version, err.Error()
	}
	if err := s.restrict(dir); err != nil {
		return version, err.Error()
	}
	if err := os.WriteFile(inside, nil, 0o600); err != nil {
		return version, "it denies too much: " + err.Error()
	}
	os.Remove(inside)
	if os.WriteFile(outside, nil, 0o600) == nil && os.Remove(outside) == nil && !slices.ContainsFunc(s.Writable, func(w string) bool { return strings.HasPrefix(outside, strings.TrimSuffix(w, "/")+"/") }) {
		return version, "it is there, but denies nothing"
	}
	return version, ""
}
