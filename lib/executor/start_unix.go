//go:build unix

package executor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// What differs between systems about programs' files.
const (
	separators  = "/"
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

var (
	programExtensions = []string{""}
	tempVariables     = []string{"TMPDIR"}
)

// checkProgram says why a file cannot be run; nil: it can.
func checkProgram(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return errNotExecutable
	}
	return nil
}

// isNotProgram says whether the error of start is about the file.
func isNotProgram(err error) bool {
	return errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ETXTBSY) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isNoRoom says whether the error of start is about the device, which has no room for another process now.
func isNoRoom(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// process is a program that this process has started itself, the leader of its own process group.
type process struct {
	pid    int
	done   chan exit
	seen   chan view
	mu     sync.Mutex
	reaped bool // the number may belong to somebody else
}

// start starts a program. It does so below the os package, which asks for a handle of the process (pidfd); on
// Android that kills the asker.
func start(l *launch, stdout, stderr *os.File) (*process, error) {
	attr := &syscall.ProcAttr{
		Dir:   l.dir,
		Env:   l.env,
		Files: []uintptr{l.stdin.Fd(), stdout.Fd(), stderr.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	}
	pid, err := syscall.ForkExec(l.path, l.argv, attr)
	if err != nil {
		return nil, err
	}
	p := &process{pid: pid, done: make(chan exit, 1)}
	go func() { p.done <- p.wait() }() // ends with the process; see killLimit
	return p, nil
}

// wait waits for the leader to end, kills what is left of its group, and says how the leader ended.
func (p *process) wait() exit {
	held := awaitEnd(p.pid)
	if held {
		p.kill() // while the dead leader still holds the group's number
	}
	status, usage, err := reap(p.pid)
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	if !held {
		syscall.Kill(-p.pid, syscall.SIGKILL)
	}
	if err != nil {
		return exit{lost: err}
	}
	e := exitOf(status)
	e.cpu, e.memory = time.Duration(usage.Utime.Nano()+usage.Stime.Nano()), peak(&usage)
	return e
}

func reap(pid int) (status syscall.WaitStatus, usage syscall.Rusage, err error) {
	for {
		_, err = syscall.Wait4(pid, &status, 0, &usage)
		if err != syscall.EINTR {
			return status, usage, err
		}
	}
}

// terminate wakes it too, should it stand still.
func (p *process) terminate() {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// stand has the whole group stand still, or go on.
func (p *process) stand(still bool) {
	if still {
		p.signal(syscall.SIGSTOP)
	} else {
		p.signal(syscall.SIGCONT)
	}
}

// signal sends a signal to the whole group.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.pid, s)
	}
}

func exitOf(status syscall.WaitStatus) exit {
	e := exit{code: status.ExitStatus()}
	if status.Signaled() {
		s := status.Signal()
		e.code = exitSignal + int(s)
		e.signal = fmt.Sprintf("%d (%v)", int(s), s)
	}
	return e
}

// readNow reads what lies in a pipe without waiting for more.
func readNow(pipe *os.File, buf []byte) (n int) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	conn.Control(func(fd uintptr) {
		n, err = syscall.Read(int(fd), buf) // our end does not block
	})
	return n
}
