package executor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What differs between systems about programs' files.
const (
	separators  = `/\:`
	defaultPath = `C:\Windows\System32;C:\Windows`
)

var (
	programExtensions = []string{"", ".com", ".exe", ".bat", ".cmd"}
	tempVariables     = []string{"TMPDIR", "TEMP", "TMP"}
)

// checkProgram says why a file cannot be run; nil: it can. Here a file's name says so.
func checkProgram(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	ext := strings.ToLower(filepath.Ext(file))
	if !info.Mode().IsRegular() || ext == "" || !slices.Contains(programExtensions, ext) {
		return errNotExecutable
	}
	return nil
}

const errorBadExeFormat = syscall.Errno(193)

// isNotProgram says whether the error of start is about the file.
func isNotProgram(err error) bool { return errors.Is(err, errorBadExeFormat) }

// isNoRoom says whether the error of start is about the device; here it never says so.
func isNoRoom(error) bool { return false }

// process is a started program, in a job object of its own, which all that it starts is in, too.
type process struct {
	p    *os.Process
	done chan exit
	seen chan view

	mu  sync.Mutex
	job windows.Handle // 0: all is over
}

var resume = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtResumeProcess")

// start starts a program. It does nothing before it is in its job, so that nothing of it is outside.
func start(l *launch, stdout, stderr *os.File) (*process, error) {
	job, err := newJob(&l.limits)
	if err != nil {
		return nil, os.NewSyscallError("CreateJobObject", err)
	}
	started, err := os.StartProcess(l.path, l.argv, &os.ProcAttr{
		Dir:   l.dir,
		Env:   l.env,
		Files: []*os.File{l.stdin, stdout, stderr},
		Sys:   &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | windows.CREATE_SUSPENDED | priority(&l.limits)},
	})
	if err != nil {
		windows.CloseHandle(job)
		return nil, err
	}
	var failed error
	err = started.WithHandle(func(handle uintptr) {
		if failed = windows.AssignProcessToJobObject(job, windows.Handle(handle)); failed == nil {
			if status, _, _ := resume.Call(handle); status != 0 {
				failed = syscall.Errno(status)
			}
		}
	})
	if err := errors.Join(err, failed); err != nil {
		started.Kill()
		started.Wait()
		windows.CloseHandle(job)
		return nil, err
	}
	p := &process{p: started, job: job, done: make(chan exit, 1)}
	go func() { p.done <- p.wait() }() // ends with the process; see killLimit
	return p, nil
}

// newJob makes a job whose processes end with it, and keep the limits together.
func newJob(l *Limits) (job windows.Handle, err error) {
	if job, err = windows.CreateJobObject(nil, nil); err != nil {
		return 0, err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	basic := &info.BasicLimitInformation
	basic.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
	if l.Memory > 0 {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_JOB_MEMORY
		info.JobMemoryLimit = uintptr(l.Memory)
	}
	if l.Processes > 0 {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS
		basic.ActiveProcessLimit = uint32(l.Processes)
	}
	if l.CPUTime > 0 {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_TIME
		basic.PerProcessUserTimeLimit = int64(l.CPUTime / 100) // of 100 ns
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil && l.CPUs > 0 && l.CPUs < float64(runtime.NumCPU()) {
		const enable, hardCap = 1, 4
		rate := struct{ flags, rate uint32 }{enable | hardCap, uint32(max(l.CPUs/float64(runtime.NumCPU())*10_000, 1))} // of 100 times a percent of all
		_, err = windows.SetInformationJobObject(job, windows.JobObjectCpuRateControlInformation, uintptr(unsafe.Pointer(&rate)), uint32(unsafe.Sizeof(rate)))
	}
	if err != nil {
		windows.CloseHandle(job)
	}
	return job, err
}

// priority is how far a program stands back.
func priority(l *Limits) uint32 {
	switch {
	case l.Nice >= 15:
		return windows.IDLE_PRIORITY_CLASS
	case l.Nice > 0:
		return windows.BELOW_NORMAL_PRIORITY_CLASS
	}
	return 0
}

// wait waits for the program to end, then ends all that it has left.
func (p *process) wait() exit {
	s, err := p.p.Wait()
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	queried := windows.QueryInformationJobObject(p.job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	p.mu.Lock()
	windows.CloseHandle(p.job) // which ends what is left
	p.job = 0
	p.mu.Unlock()
	if err != nil {
		return exit{lost: err}
	}
	e := exit{code: s.ExitCode(), cpu: s.UserTime() + s.SystemTime()}
	if queried == nil {
		e.memory = int64(info.PeakJobMemoryUsed)
	}
	return e
}

// terminate ends the process: there is no asking for it here.
func (p *process) terminate() { p.kill() }

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.job != 0 {
		windows.TerminateJobObject(p.job, 1)
	}
}

// stand does nothing: a process cannot be stopped here.
func (p *process) stand(bool) {}

// readNow reads nothing: pipes have no deadlines here, and are closed instead.
func readNow(*os.File, []byte) int { return 0 }
