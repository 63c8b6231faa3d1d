package testscripts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything may take that a script waits for.
const patience = time.Minute

// daemon is a program that runs beside a script, perhaps for the second time.
type daemon struct {
	name, program string
	args          []string
	dir           string
	log           string // file with what it prints

	cmd   *exec.Cmd // nil: not started yet
	began int64     // size of the log before this life
	asked bool      // to end, in this life
	gone  chan struct{}
	err   error // when gone is closed: how it ended
}

// start starts it. Its end is noticed by a goroutine that ends with it.
func (d *daemon) start(ts *testscript.TestScript) error {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		d.began = info.Size()
	}
	path, err := lookPath(ts, d.program)
	if err != nil {
		return err
	}
	d.cmd = exec.Command(path, d.args...)
	d.cmd.Dir, d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = d.dir, environment(ts), log, log
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		return err
	}
	d.asked, d.gone = false, make(chan struct{})
	go func(cmd *exec.Cmd, gone chan struct{}) {
		d.err = cmd.Wait()
		close(gone)
	}(d.cmd, d.gone)
	return nil
}

func (d *daemon) ended() bool {
	select {
	case <-d.gone:
		return true
	default:
		return d.cmd == nil
	}
}

// terminate asks it to end.
func (d *daemon) terminate() {
	d.asked = true
	d.cmd.Process.Signal(syscall.SIGTERM)
}

// end stops it: gently, less gently (a worker then ends what it runs), by force.
func (d *daemon) end() {
	if d.cmd == nil {
		return
	}
	for _, wait := range []time.Duration{300 * time.Millisecond, 5 * time.Second} {
		if wait > time.Second || !d.asked {
			d.terminate()
		}
		select {
		case <-d.gone:
			return
		case <-time.After(wait):
		}
	}
	d.cmd.Process.Kill()
	<-d.gone
}

// waitFor waits until something is so, or the daemon has ended instead.
func (d *daemon) waitFor(what string, is func() bool) error {
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		switch {
		case d.ended():
			return fmt.Errorf("%s ended: %v\n%s", d.name, d.err, d.said())
		case time.Now().After(deadline):
			return fmt.Errorf("%s: waited in vain for %s", d.name, what)
		}
	}
	return nil
}

// listens waits for the file in which the daemon says where it listens, and sees to it that it does so at its next start too. The
// first of its flags is --listen.
func (d *daemon) listens(addrFile string) (address string, err error) {
	if err := d.waitFor("its address", func() bool { return exists(addrFile) }); err != nil {
		return "", err
	}
	b, err := os.ReadFile(addrFile)
	address = strings.TrimSpace(string(b))
	d.args[0] = "--listen=" + address
	return address, err
}

// said is what it printed in this life.
func (d *daemon) said() string {
	b, err := os.ReadFile(d.log)
	if err != nil || int64(len(b)) < d.began {
		return ""
	}
	return string(b[d.began:])
}

// lookPath finds a program in the script's PATH, not in that of the test.
func lookPath(ts *testscript.TestScript, program string) (string, error) {
	if filepath.Base(program) != program {
		return program, nil
	}
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
}

// environment is that of daemons, and of what is asked again and again: the part of the script's that is meant for them.
func environment(ts *testscript.TestScript) (env []string) {
	for _, name := range []string{"RC_WORKERD_ALLOW_WRITE", "RC_WORKERD_TASK_USER", "PATH", "HOME", "XDG_STATE_HOME", "TMPDIR", "WORK", "GOCOVERDIR", "RC_DATA", "RC_MAIN", "RC_PIN", "RC_TOKEN_FILE", "RC_WEB", "RC_ROOT"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// output is what a program prints, if it can be run; what it complains about is not wanted.
func output(ts *testscript.TestScript, program string, args ...string) []byte {
	path, err := lookPath(ts, program)
	if err != nil {
		return nil
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment(ts)
	out, _ := cmd.Output()
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lastLines are the last n lines of a file.
func lastLines(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(b), "\n")
	return strings.Join(lines[max(0, len(lines)-n-1):], "")
}
