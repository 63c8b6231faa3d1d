package executor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// process is a started program. Its children are their own.
type process struct {
	p    *os.Process
	done chan exit
	seen chan view
}

func start(l *launch, stdout, stderr *os.File) (*process, error) {
	started, err := os.StartProcess(l.path, l.argv, &os.ProcAttr{
		Dir:   l.dir,
		Env:   l.env,
		Files: []*os.File{l.stdin, stdout, stderr},
		Sys:   &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP},
	})
	if err != nil {
		return nil, err
	}
	p := &process{p: started, done: make(chan exit, 1)}
	go func() { p.done <- p.wait() }() // ends with the process; see killLimit
	return p, nil
}

func (p *process) wait() exit {
	s, err := p.p.Wait()
	if err != nil {
		return exit{lost: err}
	}
	return exit{code: s.ExitCode(), cpu: s.UserTime() + s.SystemTime()}
}

// terminate ends the process: there is no asking for it here.
func (p *process) terminate() { p.kill() }
func (p *process) kill()      { p.p.Kill() }

// stand does nothing: a process cannot be stopped here.
func (p *process) stand(bool) {}

// readNow reads nothing: pipes have no deadlines here, and are closed instead.
func readNow(*os.File, []byte) int { return 0 }
