package profile

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"
)

func output(ctx context.Context, path string, args ...string) string {
	return outputWithin(ctx, patience, path, args...)
}

// outputWithin runs a program for so long at most, and returns what it printed. It does so without os/exec, because
// os.StartProcess asks for a pidfd, and Android kills a GOOS=linux program for that.
func outputWithin(ctx context.Context, limit time.Duration, path string, args ...string) string {
	r, w, err := os.Pipe()
	if err != nil {
		return ""
	}
	defer r.Close()
	pid, err := start(w, path, args)
	w.Close()
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Now()) })()
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	end(pid)
	return string(b)
}

// start runs a program in a process group of its own, with only its standard output connected.
func start(w *os.File, path string, args []string) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec(path, append([]string{path}, args...), &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), w.Fd(), null.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
}

// end kills what is left of a process group and reaps its leader. The program has said all it will: how it
// ended does not matter.
func end(pid int) {
	syscall.Kill(-pid, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
