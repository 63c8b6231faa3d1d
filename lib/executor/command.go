package executor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func (x *Executor) command(ctx context.Context, a Attempt, p *task.Command, out *output) task.Result {
	if len(p.Argv) == 0 {
		return notRun("payload.argv: names no program")
	}
	path, ok := p.Environment["PATH"]
	if !ok {
		path = x.path
	}
	file, err := x.programs.find(p.Argv[0], path)
	if err != nil {
		return cannotStart(p.Argv[0], err)
	}
	return x.process(ctx, a, program{path: file, argv: p.Argv, env: p.Environment, stdin: p.Stdin}, out)
}

func (x *Executor) shell(ctx context.Context, a Attempt, p *task.Shell, out *output) task.Result {
	sh, err := x.findShell()
	if err != nil {
		return ended(exitNotFound, "sh: not found on this device")
	}
	argv := []string{"sh", "-c", p.Script}
	return x.process(ctx, a, program{path: sh, argv: argv, env: p.Environment, stdin: p.Stdin}, out)
}

// findShell finds the shell of the device, whatever PATH the task would like. Android has none at /bin.
func (x *Executor) findShell() (string, error) {
	if prefix := termux(); prefix != "" {
		sh := filepath.Join(prefix, "bin", "sh")
		return sh, checkProgram(sh)
	}
	return lookPath("sh", x.path)
}

// programs remembers for a moment where programs were found: many attempts in a row run the same one.
type programs struct {
	mu    sync.Mutex
	found map[[2]string]string // file by name and path
	since time.Time            // of the oldest of them
}

const (
	rememberFor  = time.Second
	rememberMost = 256 // programs
)

func (p *programs) find(name, path string) (file string, err error) {
	key := [2]string{name, path}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.since) > rememberFor || len(p.found) >= rememberMost {
		p.found, p.since = map[[2]string]string{}, time.Now()
	}
	if file, ok := p.found[key]; ok {
		return file, nil
	}
	if file, err = lookPath(name, path); err == nil {
		p.found[key] = file
	}
	return file, err
}

// errNotExecutable is why a file that is there cannot be run.
var errNotExecutable = errors.New("not executable")

// lookPath finds a program in a list of folders by looking at its mode only, as exec.LookPath did before it used
// faccessat2, which kills a process on Android. A name with a slash is the file itself, and is left to the kernel
// to find, since it may be relative to the attempt's directory. Folders that are not absolute are passed over.
func lookPath(name, path string) (string, error) {
	if strings.ContainsAny(name, separators) {
		return name, nil
	}
	var found error = fs.ErrNotExist
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		for _, ext := range programExtensions {
			file := filepath.Join(dir, name+ext)
			err := checkProgram(file)
			if err == nil {
				return file, nil
			}
			if errors.Is(err, errNotExecutable) {
				found = err
			}
		}
	}
	return "", found
}
