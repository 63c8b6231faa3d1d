package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// daemon is a program that runs until it is stopped.
type daemon struct {
	name    string
	path    string
	args    []string
	logFile string

	cmd   *exec.Cmd
	began time.Time
	asked atomic.Bool   // to end
	gone  chan struct{} // closed when it has ended
	err   error         // how, then
}

// language is what attempts are given where rc-workerd has none, so the yardsticks have it, too: true reads it when it has an argument, which takes a
// tenth of its time.
const language = "LANG=C.UTF-8"

// environment is what every program is started with: nothing that says where another cluster is.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", language}, more...)
}

// daemon starts a program; prefix, if there is one, is a command that becomes it.
func (r *run) daemon(name string, prefix []string, path string, args ...string) (*daemon, error) {
	d := &daemon{name: name, path: path, args: args, logFile: r.path(name + ".log")}
	if len(prefix) > 0 {
		d.path, d.args = prefix[0], append(append(prefix[1:len(prefix):len(prefix)], path), args...)
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	r.daemons = append(r.daemons, d)
	return d, nil
}

// start starts it, the first time or again.
func (d *daemon) start() error {
	log, err := os.OpenFile(d.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	defer log.Close()
	d.cmd = exec.Command(d.path, d.args...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.Env = environment()
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	d.asked.Store(false)
	d.gone, d.err = make(chan struct{}), nil
	started := make(chan error, 1)
	go d.wait(started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	return nil
}

// wait starts the process and waits for its end. The kernel kills it with the thread that started it, if this program is killed itself: so
// that thread has to stay.
func (d *daemon) wait(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(d.gone)
	d.began = time.Now()
	err := d.cmd.Start()
	started <- err
	if err == nil {
		d.err = d.cmd.Wait()
	}
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

func (d *daemon) ended() bool {
	select {
	case <-d.gone:
		return true
	default:
		return false
	}
}

// patience is how long a daemon may take to end, which writes what it has to write before.
const patience = 30 * time.Second

// stop asks it to end and waits for that; one that does not is killed.
func (d *daemon) stop() {
	if d.ended() {
		return
	}
	d.asked.Store(true)
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.gone:
	case <-time.After(patience):
		d.cmd.Process.Kill()
		<-d.gone
	}
}

// lastLog is the end of what it printed.
func (d *daemon) lastLog(lines int) string {
	b, err := os.ReadFile(d.logFile)
	if err != nil {
		return err.Error() + "\n"
	}
	all := strings.SplitAfter(string(b), "\n")
	return strings.Join(all[max(0, len(all)-lines-1):], "")
}
