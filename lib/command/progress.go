package command

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// progress is a line on a terminal that says how far tasks have come. It is drawn a moment after it changed, so that
// many changes cost one line, and taken away before anything else is printed.
type progress struct {
	w     io.Writer // nil: nobody looks
	plain bool      // it is not drawn over: the terminal, as that in a browser, lets nobody move its cursor

	mu      sync.Mutex
	line    string
	drawn   bool
	pending *time.Timer
	hidden  bool      // while the cursor does not stand at the beginning of a line
	before  string    // plain: the line above
	at      time.Time // when that was drawn
}

const (
	drawAfter  = 100 * time.Millisecond
	plainEvery = 2 * time.Second // a line
)

// newProgress makes the line. It is for nobody where output is raw: then only the task knows where the cursor stands.
func newProgress(std cli.Std, raw bool) *progress {
	p := &progress{plain: std.ErrWidth > 0}
	if std.ErrTerminal() && !raw {
		p.w = std.Err
	}
	return p
}

func (p *progress) watched() bool { return p.w != nil }

// set says how things stand.
func (p *progress) set(done, all, failed, running int) {
	p.say("%d/%d done, %d failed, %d running", done, all, failed, running)
}

// say says something else on the line.
func (p *progress) say(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = text.Sanitize(fmt.Sprintf(format, args...))
	if p.pending == nil {
		p.pending = time.AfterFunc(drawAfter, p.draw)
	}
}

func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		return
	}
	p.pending = nil
	switch {
	case p.hidden:
	case p.plain:
		p.drawPlain()
	default:
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.line)
		p.drawn = true
	}
}

// drawPlain adds a line that says something new, now and then.
func (p *progress) drawPlain() {
	if p.line == p.before {
		return
	}
	if wait := plainEvery - time.Since(p.at); wait > 0 {
		p.pending = time.AfterFunc(wait, p.draw)
		return
	}
	p.before, p.at = p.line, time.Now()
	fmt.Fprintln(p.w, p.line)
}

// clear takes the line away until the next set. hidden keeps it away.
func (p *progress) clear(hidden bool) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil {
		p.pending.Stop()
		p.pending = nil
	}
	p.hidden = hidden
	if p.drawn {
		io.WriteString(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
