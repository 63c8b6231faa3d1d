package executor

import (
	"fmt"
	"os"
	"time"
)

// What a process that was started directly has to offer as something that runs; its group, or on Windows itself alone, is all of it that
// can be found. What it prints is seen from the start.

// startDirectly starts a program as a child of this process.
func (x *Executor) startDirectly(l *launch) (running, error) {
	home, err := x.dirs.take()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDir, err)
	}
	if err := l.settle(home.path, func() error { return x.dirs.give(home) }); err != nil {
		return nil, err
	}
	if l.stdin == nil {
		l.stdin = x.null
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	errOut, stderr, err := os.Pipe()
	if err != nil {
		out.Close()
		return nil, err
	}
	defer stderr.Close()
	v := view{out: out, err: errOut}
	p, err := start(l, stdout, stderr)
	if err != nil {
		v.close()
		return nil, err
	}
	p.seen = make(chan view, 1)
	p.seen <- v
	return p, nil
}

func (p *process) gone() <-chan exit { return p.done }

func (p *process) shown() <-chan view { return p.seen }

func (p *process) end(grace time.Duration) {
	p.terminate()
	time.AfterFunc(grace, p.kill)
}

func (p *process) halt(on bool) { p.stand(on) }

func (p *process) force() { p.kill() }

// fence does nothing: whoever started it watches, and calls end.
func (p *process) fence(_, _ time.Duration) {}

func (p *process) abandon() {}
