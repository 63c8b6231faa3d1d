package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// How a helper confines the programs that it starts.

// setup is what a helper is told once, when it is started.
type setup struct {
	Limits
	Sandbox
	Dir      string   // the slot's private directory
	Landlock bool     `json:",omitempty"` // it was seen to work
	Cgroup   string   `json:",omitempty"` // of the slot's own; "": none
	Keeps    []string `json:",omitempty"` // controllers in it
}

// encode is the argument of a helper that says its setup.
func (s *setup) encode() string {
	b, err := json.Marshal(s)
	if err != nil { // of plain fields
		return "{}"
	}
	return string(b)
}

// setUp takes what holds for all programs to come.
func (h *helper) setUp(encoded string) error {
	if err := json.Unmarshal([]byte(encoded), &h.setup); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	h.home.path = h.setup.Dir
	var err error
	if h.group, err = openGroup(&h.setup); err != nil {
		return err
	}
	return h.limit()
}

// confine has this thread be one that starts programs: they have its rights.
func (h *helper) confine() error {
	if err := errors.Join(h.calm(), os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))); err != nil {
		return err
	}
	if h.setup.Landlock {
		return h.setup.restrict(h.setup.Dir)
	}
	return nil
}

// calm gives this thread, and what it starts, its place among what else the device does.
func (h *helper) calm() error {
	unix.Prctl(unix.PR_SET_TIMERSLACK, usualSlack, 0, 0, 0)
	if h.setup.Nice > 0 {
		now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if nice := 20 - now; err == nil && h.setup.Nice > nice { // as the system call has it
			err = unix.Setpriority(unix.PRIO_PROCESS, 0, h.setup.Nice)
		}
		if err != nil {
			return os.NewSyscallError("setpriority", err)
		}
	}
	return os.NewSyscallError("sigmask", unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil))
}

// attributes are those of a program's process.
func (s *setup) attributes(g *group) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if user := uint32(s.User); user != 0 {
		a.Credential = &syscall.Credential{Uid: user, Gid: uint32(s.Group)}
	}
	if g != nil {
		a.UseCgroupFD, a.CgroupFD = true, g.fd
	}
	return a
}

// own gives a program's user its end of a pipe: otherwise that could not be opened by its name, as in >/dev/stderr.
func (h *helper) own(pipes ...int) {
	if h.setup.User != 0 {
		for _, fd := range pipes {
			syscall.Fchown(fd, h.setup.User, h.setup.Group)
		}
	}
}
