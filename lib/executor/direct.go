package executor

import "time"

// What a process that was started directly has to offer as something that runs; its group, or on Windows itself alone, is all of it that
// can be found.

func (p *process) gone() <-chan exit { return p.done }

func (p *process) end(grace time.Duration) {
	p.terminate()
	time.AfterFunc(grace, p.kill)
}

func (p *process) force() { p.kill() }

// fence does nothing: whoever started it watches, and calls end.
func (p *process) fence(_, _ time.Duration) {}

func (p *process) abandon() {}

// started keeps a process that there is not from looking like one.
func started(p *process, err error) (running, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}
