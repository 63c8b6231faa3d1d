package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ran is what a command took that ended well.
type ran struct {
	wall  time.Duration
	cpu   time.Duration // of it and of what it waited for
	lines int           // that it printed
}

// rate is so many things a second.
func (t ran) rate(n int) float64 { return float64(n) / t.wall.Seconds() }

// command runs a command to its end, with a file as its input and its output in another, as in a shell.
func (r *run) command(input string, env []string, program string, args ...string) (t ran, err error) {
	name := filepath.Base(program)
	defer func() {
		if err != nil {
			err = fmt.Errorf("run %s %s: %w", name, strings.Join(args, " "), err)
		}
	}()
	in, err := os.Open(input)
	if err != nil {
		return t, err
	}
	defer in.Close()
	out, err := os.CreateTemp(r.dir, name+".out")
	if err != nil {
		return t, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	var said bytes.Buffer
	c := exec.CommandContext(r.ctx, program, args...)
	c.Env = env
	c.Stdin, c.Stdout, c.Stderr = in, out, &said
	began := time.Now()
	if err := c.Run(); err != nil {
		return t, errors.Join(fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes())), r.dead())
	}
	t.wall = time.Since(began)
	t.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	t.lines, err = countLines(out)
	return t, err
}

func countLines(f *os.File) (n int, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	buffer := make([]byte, 64<<10)
	for {
		got, err := f.Read(buffer)
		n += bytes.Count(buffer[:got], []byte("\n"))
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// ours runs one of the cluster's commands.
func (r *run) ours(m *mainNode, input, program string, args ...string) (ran, error) {
	return r.command(input, environment("RC_DATA="+m.data), filepath.Join(r.set.bin, program), args...)
}

// each runs rc-submit --each --wait with n lines of input, and checks that every task has ended well.
func (r *run) each(m *mainNode, n int, input string, args ...string) (ran, error) {
	return r.submitAndWait(m, n, input, append([]string{"--each"}, args...)...)
}

func (r *run) submitAndWait(m *mainNode, n int, input string, args ...string) (ran, error) {
	before, err := r.completed(m)
	if err != nil {
		return ran{}, err
	}
	t, err := r.ours(m, input, "rc-submit", append([]string{"--wait"}, args...)...)
	if err != nil {
		return t, err
	}
	after, err := r.completed(m)
	if err == nil && after-before < int64(n) {
		err = fmt.Errorf("run rc-submit %s: %d of %d tasks have ended well", strings.Join(args, " "), after-before, n)
	}
	return t, err
}

// xargs runs true once for each line of input, two at a time.
func (r *run) xargs(input string) (ran, error) {
	path, err := exec.LookPath("xargs")
	if err != nil {
		return ran{}, &notHere{"xargs is not installed"}
	}
	return r.command(input, environment(), path, "-P2", "-n1", "true")
}

// numbers is a file as seq prints it.
func (r *run) numbers(n int) (string, error) {
	return r.written(fmt.Sprintf("seq-%d", n), n, func(i int) string { return strconv.Itoa(i) })
}

// written is a file of n lines, from 1 on.
func (r *run) written(name string, n int, line func(i int) string) (string, error) {
	var b bytes.Buffer
	for i := range n {
		b.WriteString(line(i + 1))
		b.WriteByte('\n')
	}
	path := r.path(name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("write the input of commands: %w", err)
	}
	return path, nil
}

// often runs one of the cluster's commands several times, and gives the milliseconds that it took.
func (r *run) often(m *mainNode, times int, program string, args ...string) (s sample, lines int, err error) {
	for range times {
		t, err := r.ours(m, os.DevNull, program, args...)
		if err != nil {
			return nil, 0, err
		}
		s, lines = append(s, milliseconds(t.wall)), t.lines
	}
	return s, lines, nil
}
