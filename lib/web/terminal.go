package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/shell"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Lines that are typed into a browser, or sent by a script, run in this process with the rights of who sends them: those of their session or token, or of
// one that may read where reading is open.

// Bounds of lines.
const (
	mostLines     = 32               // that run at a time
	mostOwnLines  = 6                // of one visitor, or of all who have not logged in
	mostColumns   = 500              // of a terminal
	commandTime   = 5 * time.Minute  // a line of a script
	terminalTime  = 24 * time.Hour   // a line of a terminal: it may follow something
	anybodysTime  = 10 * time.Minute // a line of who has not logged in
	mostCommand   = 1 << 20          // bytes of output that a script is given
	terminalAlive = 15 * time.Second // so that somebody who is gone is found out
)

// lineAsked is the body of a request to run a line.
type lineAsked struct {
	Command string `json:"command"`
	Format  string `json:"format,omitempty"`  // of a script: text, or json for commands that print things
	Columns int    `json:"columns,omitempty"` // of a terminal
	Plain   bool   `json:"plain,omitempty"`   // of a terminal: without colours
}

// ran is what came of a line.
type ran struct {
	Output    string            `json:"output"`
	Errors    string            `json:"error_output"`
	Status    int               `json:"exit_status"`
	Truncated bool              `json:"truncated,omitempty"`
	Items     []json.RawMessage `json:"items,omitempty"` // of format json: the output's lines, where all of them are JSON
}

// command runs a line and answers when it has ended.
func (s *Server) command(w http.ResponseWriter, r *http.Request) error {
	asked, sh, err := s.line(r)
	if err != nil {
		return err
	}
	ctx, done, err := s.mayRun(w, r, commandTime)
	if err != nil {
		return err
	}
	defer done()
	sh.Format = text.Format(asked.Format)
	writeJSON(w, http.StatusOK, &envelope{Status: "success", Data: runToEnd(ctx, sh, asked)})
	return nil
}

// mayRun makes room for a line that may run for so long. Call done.
func (s *Server) mayRun(w http.ResponseWriter, r *http.Request, most time.Duration) (ctx context.Context, done func(), err error) {
	whose := ""
	if who := visitorOf(r.Context()); who != nil {
		whose = who.token
	} else {
		most = min(most, anybodysTime)
	}
	leave, ok := s.lines.enter(whose)
	if !ok {
		return nil, nil, refused(http.StatusServiceUnavailable, "E_RATE", "too many lines run already: %d of one visitor at the most, %d in all", mostOwnLines, mostLines)
	}
	ctx, cancel := context.WithTimeout(r.Context(), most)
	go s.watch(ctx, cancel)
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{}) // of the connection: nothing more is to be read before the answer
	control.SetWriteDeadline(time.Now().Add(most + writeTime))
	return ctx, func() {
		cancel()
		leave()
	}, nil
}

// lines counts those that run, by whose they are.
type lines struct {
	mu   sync.Mutex
	all  int
	each map[string]int
}

func (l *lines) enter(whose string) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= mostLines || l.each[whose] >= mostOwnLines {
		return nil, false
	}
	l.all++
	l.each[whose]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if l.each[whose]--; l.each[whose] == 0 {
			delete(l.each, whose)
		}
	}, true
}

func runToEnd(ctx context.Context, sh *shell.Shell, asked lineAsked) *ran {
	var out, errs kept
	done := &ran{Status: sh.Run(ctx, asked.Command, cli.Std{In: strings.NewReader(""), Out: &out, Err: &errs})}
	done.Output, done.Errors, done.Truncated = out.text(), errs.text(), out.cut || errs.cut
	if asked.Format == "json" && !done.Truncated {
		done.Items = items(done.Output)
	}
	return done
}

// items are the lines of an output, if each is a value of JSON.
func items(output string) []json.RawMessage {
	all := []json.RawMessage{}
	for line := range strings.Lines(output) {
		if !json.Valid([]byte(line)) {
			return nil
		}
		all = append(all, json.RawMessage(line))
	}
	return all
}

// line reads what is to be run, and makes the shell of who asks.
func (s *Server) line(r *http.Request) (asked lineAsked, sh *shell.Shell, err error) {
	if err = newQuery(r).check(); err != nil {
		return asked, nil, err
	}
	if visitorOf(r.Context()) == nil && !s.isLocal(r) { // who may read everything may not have everything computed
		return asked, nil, errNobody
	}
	b, err := readBody(r, maxBody)
	if err == nil && mediaOf(r) != "application/json" {
		err = errNotJSON
	}
	if err == nil {
		err = decodeStrict(b, &asked)
	}
	switch {
	case err != nil:
		return asked, nil, err
	case asked.Columns < 0 || asked.Columns > mostColumns:
		return asked, nil, invalid("columns %d: at most %d", asked.Columns, mostColumns)
	case asked.Format != "" && asked.Format != "text" && asked.Format != "json":
		return asked, nil, invalid("format %.20q: text or json", asked.Format)
	}
	return asked, &shell.Shell{Open: s.opener(r)}, nil
}

// opener makes clients with the rights of who asks.
func (s *Server) opener(r *http.Request) func(string, func(error)) (*client.Client, error) {
	return func(_ string, retrying func(error)) (*client.Client, error) {
		if who := visitorOf(r.Context()); who != nil {
			return who.alone(retrying)
		}
		reader, err := s.reader.get(r.Context(), s.visitors)
		if err != nil {
			return nil, err
		}
		return reader.alone(retrying)
	}
}

// terminal runs a line and answers as it goes: JSON lines with what is printed, made safe for a terminal, and at the end its exit status.
func (s *Server) terminal(w http.ResponseWriter, r *http.Request) error {
	asked, sh, err := s.line(r)
	if err != nil {
		return err
	}
	ctx, done, err := s.mayRun(w, r, terminalTime)
	if err != nil {
		return err
	}
	done = sync.OnceFunc(done)
	t := &terminalAnswer{control: http.NewResponseController(w), w: w}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	var alive sync.WaitGroup
	alive.Go(func() { t.keepAlive(ctx) })
	defer alive.Wait() // before the answer is another request's
	defer done()
	out, errs := text.NewTerminalWriter(t), text.NewTerminalWriter(t)
	width := max(asked.Columns, 20)
	if asked.Plain {
		sh.Env = append(sh.Env, "NO_COLOR=1")
	}
	status := sh.Run(ctx, asked.Command, cli.Std{In: strings.NewReader(""), Out: out, Err: errs, Width: width, ErrWidth: width})
	out.Close()
	errs.Close()
	t.say(map[string]any{"status": status})
	return nil
}

// terminalAnswer writes the JSON lines of an answer. A program's two streams write to it at the same time.
type terminalAnswer struct {
	mu      sync.Mutex
	w       io.Writer
	control *http.ResponseController
}

// Write takes what is printed: valid UTF-8, as a TerminalWriter writes it.
func (t *terminalAnswer) Write(p []byte) (int, error) {
	for piece := p; len(piece) > 0; {
		n := len(piece)
		if n > 32<<10 {
			for n = 32 << 10; !utf8.RuneStart(piece[n]); n-- {
			}
		}
		if err := t.say(map[string]any{"out": string(piece[:n])}); err != nil {
			return 0, err
		}
		piece = piece[n:]
	}
	return len(p), nil
}

func (t *terminalAnswer) say(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err = t.control.SetWriteDeadline(time.Now().Add(writeTime)); err == nil {
		if _, err = t.w.Write(append(b, '\n')); err == nil {
			err = t.control.Flush()
		}
	}
	return err
}

// keepAlive says nothing now and then, until ctx ends.
func (t *terminalAnswer) keepAlive(ctx context.Context) {
	tick := time.NewTicker(terminalAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.say(struct{}{})
		case <-ctx.Done():
			return
		}
	}
}

// kept holds the beginning of an output.
type kept struct {
	b   bytes.Buffer
	cut bool
}

// Write takes all, and holds what there is room for.
func (k *kept) Write(p []byte) (int, error) {
	room := mostCommand - k.b.Len()
	k.cut = k.cut || len(p) > room
	k.b.Write(p[:min(len(p), room)])
	return len(p), nil
}

func (k *kept) text() string { return strings.ToValidUTF8(k.b.String(), "\uFFFD") }

// nameOfReaders is what such a token is called in the list of tokens.
const nameOfReaders = "readers of rc-web"

// readerToken is a token of rc-web's own that may read and no more, for lines of those who may read without a login: its own token may be an administrator's.
type readerToken struct {
	main *mainNode

	mu    sync.Mutex
	token string
}

// get gives who acts with the token, and makes another where it is used up.
func (t *readerToken) get(ctx context.Context, all *visitors) (*visitor, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" {
		who := &visitor{all, t.token}
		if err := who.ping(ctx); !errors.Is(err, errUsedUp) {
			return who, err
		}
	}
	token, err := t.make(ctx)
	if err != nil {
		return nil, err
	}
	t.token = token
	return &visitor{all, token}, nil
}

func (t *readerToken) make(ctx context.Context) (string, error) {
	made, err := get(t.main, func(c *client.Client) (wire.LoginMade, error) {
		return c.MakeLogin(ctx, wire.MakeLogin{Role: wire.RoleRead, Name: nameOfReaders})
	})
	if err != nil {
		return "", err
	}
	o, err := t.main.as(made.Code)
	if err != nil {
		return "", err
	}
	c, err := client.Dial(ctx, o)
	if err != nil {
		return "", err
	}
	defer c.Close()
	in, err := c.Login(ctx)
	if err != nil {
		return "", err
	}
	return in.Token, nil
}
