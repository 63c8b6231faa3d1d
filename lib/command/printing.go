package command

import (
	"fmt"
	"io"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// printing prints what tasks printed: stdout to stdout, stderr to stderr; into a pipe byte by byte, on a terminal
// made harmless, unless it is to be raw.
type printing struct {
	streams [2]io.Writer            // of what prints to stdout and stderr
	guards  [2]*text.TerminalWriter // of the streams that are terminals
	last    byte                    // of what the task under way has printed on stdout; 0: nothing
	midLine bool                    // what a terminal shows last does not end with a newline
}

func newPrinting(std cli.Std, raw bool) *printing {
	p := &printing{streams: [2]io.Writer{std.Out, std.Err}}
	if raw {
		return p
	}
	if _, ok := std.Terminal(); ok {
		p.guard(0)
	}
	if std.ErrTerminal() {
		p.guard(1)
	}
	return p
}

func (p *printing) guard(i int) {
	p.guards[i] = text.NewTerminalWriter(p.streams[i])
	p.streams[i] = p.guards[i]
}

// chunk prints a piece.
func (p *printing) chunk(c *task.Chunk) error {
	if len(c.Data) == 0 {
		return nil
	}
	i, last := 0, c.Data[len(c.Data)-1]
	if c.Stream == task.Stderr {
		i = 1
	} else {
		p.last = last
	}
	if p.guards[i] != nil {
		p.midLine = last != '\n'
	}
	_, err := p.streams[i].Write(c.Data)
	return err
}

// note prints a line of the command's own to stderr, between the outputs of tasks.
func (p *printing) note(format string, args ...any) error {
	if err := p.close(); err != nil {
		return err
	}
	return say(p.streams[1], format, args...)
}

// say prints a line of a command's own. What it quotes stays within the line.
func say(w io.Writer, format string, args ...any) error {
	_, err := io.WriteString(w, text.Sanitize(fmt.Sprintf(format, args...))+"\n")
	return err
}

// sayResult prints the one line that a command is called for: as it is for who reads it, harmless on a terminal.
func sayResult(std cli.Std, line string) error {
	if _, terminal := std.Terminal(); terminal {
		line = text.Sanitize(line)
	}
	_, err := io.WriteString(std.Out, line+"\n")
	return err
}

// end is to be called after each task. A value gets the newline that is not part of it.
func (p *printing) end(taskType string) error {
	last := p.last
	p.last = 0
	if task.IsValue(taskType) && last != 0 && last != '\n' {
		if _, err := p.streams[0].Write([]byte{'\n'}); err != nil {
			return err
		}
		p.midLine = false
	}
	return p.close()
}

// close ends what is half shown on terminals.
func (p *printing) close() error {
	for _, g := range p.guards {
		if g == nil {
			continue
		}
		if err := g.Close(); err != nil {
			return err
		}
	}
	return nil
}
