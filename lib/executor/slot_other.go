//go:build !linux

package executor

// Main is to be the first call of a program that runs attempts. On Linux it makes slot helpers possible; there are none on other systems.
func Main() {}

// slots start programs directly: only Linux can tell a process's descendants when they have left its group.
type slots struct{}

func (*slots) prepare(int, []string) {}
func (*slots) line() bool            { return false }
func (*slots) alone() bool           { return true }
func (*slots) admit() *admitted      { return nil }
func (*slots) dismiss(*admitted)     {}
func (*slots) close()                {}
func (*slots) release()              {}

func (x *Executor) start(l *launch) (running, error) { return x.startDirectly(l) }

type admitted struct{}

const progressFile = "" // there is no helper to read it

// endStrays does nothing: it cannot be told who works where.
func (x *Executor) endStrays() {}
