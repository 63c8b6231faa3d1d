package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// helpers says whether this program can be a slot helper.
var helpers atomic.Bool

// Main is to be the first call of a program that runs attempts: it lets executors start that program again as a slot helper, which runs the
// attempts of one slot and answers for all that they start. There it does not return. Without it, attempts are children of the program itself,
// and what leaves their process group outlives them.
func Main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case slotMark:
			runHelper()
		case probeMark:
			runProbe()
		}
	}
	helpers.Store(true)
}

const (
	slotIdle = 10 * time.Second // for a helper to be kept without anything to do
	lineMost = 32               // attempts that one helper holds
	lineSize = 8 << 10          // bytes of a launch that waits in line
)

// slots are an executor's helpers: one for every attempt that runs, and for a while those that were needed.
type slots struct {
	off  bool
	most int // that work while others wait in line
	keep time.Duration
	env  []string
	base string // of private directories
	log  *slog.Logger

	setup   setup    // of each
	cgroups *cgroups // nil: none

	mu       sync.Mutex
	idle     []*slot
	working  []*slot
	opening  int // that are being started
	owed     int // attempts that were admitted, and have no helper, or need none
	rules    generation
	watching bool // a timer will look whether any was idle for too long
}

func (p *slots) prepare(most int, inherit []string) {
	p.off, p.most, p.keep = !helpers.Load(), most, slotIdle
	p.env = append(slices.Clone(inherit), "GOMAXPROCS=2", "GOTRACEBACK=single")
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		p.env = append(p.env, "GOCOVERDIR="+dir)
	}
}

// alone says whether attempts have no helper.
func (p *slots) alone() bool { return p.off }

// line says whether attempts can wait in line.
func (p *slots) line() bool { return !p.off && p.most > 0 }

// start starts a program, in a helper where there can be one.
func (x *Executor) start(l *launch) (running, error) {
	if x.slots.off {
		return x.startDirectly(l)
	}
	for try := 1; ; try++ {
		s, r, err := x.slots.place(l)
		switch {
		case err == errNoLine:
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errNoSlot, err)
		case r != nil:
			return r, nil
		}
		if r, err = s.launch(l); err == nil {
			return r, nil
		}
		x.slots.leave(s)
		s.close()                                                                                      // it died while it was idle
		if errors.Is(err, errNoInput) || errors.Is(err, errNoDir) && !errors.Is(err, fs.ErrNotExist) { // else somebody cleaned up too well
			return nil, err
		}
		if try == 3 {
			return nil, fmt.Errorf("%w: %w", errNoSlot, err)
		}
	}
}

// place answers a helper that nobody else has, or has the program wait behind others if it may.
func (p *slots) place(l *launch) (s *slot, r *slotted, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.setup.Landlock && p.rules.old(&p.setup.Sandbox) {
		for _, s := range p.idle { // they do not know what is new beside what is hidden
			s.close()
		}
		p.idle = nil
	}
	if l.lined && len(p.working)+p.opening+p.owed >= p.most {
		r, err = p.join(l)
		return nil, r, err
	}
	l.admitted.end(p)
	if s, err = p.take(); err == nil {
		s.take()
	}
	return s, nil, err
}

// join lines a program up in the shortest line.
func (p *slots) join(l *launch) (*slotted, error) {
	var best *slot
	least := lineMost
	for _, s := range p.working {
		if n, ok := s.waiting(); ok && n < least && s.generation == p.rules.number {
			best, least = s, n
		}
	}
	if best == nil {
		return nil, errNoLine
	}
	return best.append(l)
}

// take answers the helper that was used last, so that those which are not needed grow old. Others go on while a new one is started.
func (p *slots) take() (s *slot, err error) {
	if n := len(p.idle); n > 0 {
		s = p.idle[n-1]
		p.idle = p.idle[:n-1]
	} else {
		p.opening++
		generation := p.rules.number
		p.mu.Unlock()
		s, err = p.open(generation)
		p.mu.Lock()
		p.opening--
	}
	if err == nil {
		p.working = append(p.working, s)
	}
	return s, err
}

// give takes a helper back when nothing is left in its line.
func (p *slots) give(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.working, s)
	free, usable := s.free()
	if i < 0 || !free {
		return
	}
	p.working = slices.Delete(p.working, i, i+1)
	if !usable || s.generation != p.rules.number {
		s.close() // it ends when it can
		return
	}
	s.since = time.Now()
	p.idle = append(p.idle, s)
	p.watch()
}

// leave forgets a helper that is not used any more.
func (p *slots) leave(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := func(o *slot) bool { return o == s }
	p.idle, p.working = slices.DeleteFunc(p.idle, is), slices.DeleteFunc(p.working, is)
}

// watch has the helpers ended that nobody needs. A timer for each of them would cost every task more.
func (p *slots) watch() {
	if p.watching || len(p.idle) == 0 {
		return
	}
	p.watching = true
	time.AfterFunc(p.keep-time.Since(p.idle[0].since), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.watching = false
		for len(p.idle) > 0 && time.Since(p.idle[0].since) >= p.keep { // the oldest come first
			p.idle[0].close()
			p.idle = slices.Delete(p.idle, 0, 1)
		}
		p.watch()
	})
}

// close ends the helpers that are idle.
func (p *slots) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.close()
	}
	p.idle = nil
}

// release gives the control groups up.
func (p *slots) release() {
	p.close()
	p.cgroups.close()
}

// admitted is an attempt that has a slot to itself, as long as it has no helper.
type admitted struct{ open bool }

// admit counts an attempt that has a slot to itself, so that those which are lined up do not take it.
func (p *slots) admit() *admitted {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed++
	return &admitted{open: true}
}

// end is called with the lock of the slots held.
func (a *admitted) end(p *slots) {
	if a != nil && a.open {
		a.open = false
		p.owed--
	}
}

func (p *slots) dismiss(a *admitted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.end(p)
}
