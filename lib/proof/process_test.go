package proof

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a daemon under a supervisor, which starts it again when it ended without being asked to, as systemd would.
type process struct {
	name    string
	path    string
	again   time.Duration // before it is started again
	logFile string

	mu      sync.Mutex
	args    []string
	cmd     *exec.Cmd // nil: not running
	began   time.Time
	lives   int
	asked   bool
	failed  error // it could not be started
	ending  chan struct{}
	retired chan struct{}
}

// run starts it and its supervisor.
func (p *process) run() {
	p.ending, p.retired = make(chan struct{}), make(chan struct{})
	go p.supervise()
}

func (p *process) supervise() {
	defer close(p.retired)
	// The kernel kills the daemon with the thread that started it, if this test is killed itself.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		cmd := p.start()
		if cmd == nil {
			return
		}
		cmd.Wait()
		p.mu.Lock()
		p.cmd = nil
		asked := p.asked
		p.mu.Unlock()
		if asked {
			return
		}
		select {
		case <-time.After(p.again):
		case <-p.ending:
			return
		}
	}
}

// start starts one life of it.
func (p *process) start() *exec.Cmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked {
		return nil
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.failed = err
		return nil
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.began = time.Now()
	if p.failed = cmd.Start(); p.failed != nil {
		return nil
	}
	p.cmd = cmd
	p.lives++
	return cmd
}

// signal sends a signal to it; false: it did not run just now.
func (p *process) signal(s syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && p.cmd.Process.Signal(s) == nil
}

// life is the number of its present life, and when that began; 0: it does not run.
func (p *process) life() (int, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, time.Time{}
	}
	return p.lives, p.began
}

// ask asks it to end, and its supervisor not to start it again.
func (p *process) ask() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked {
		return
	}
	p.asked = true
	close(p.ending)
	if p.cmd != nil {
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// end ends it, by force if it must be.
func (p *process) end() {
	p.ask()
	for range 3 {
		select {
		case <-p.retired:
			return
		case <-time.After(3 * time.Second):
			p.signal(syscall.SIGKILL)
		}
	}
}

// memory is how much of it is in memory now, in bytes; 0: it does not run.
func (p *process) memory() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	for line := range strings.Lines(string(read(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)))) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// count is how many lives it has had.
func (p *process) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives
}

// lastLog is the end of what it printed.
func (p *process) lastLog(lines int) string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	all := strings.SplitAfter(string(b), "\n")
	return strings.Join(all[max(0, len(all)-lines-1):], "")
}
