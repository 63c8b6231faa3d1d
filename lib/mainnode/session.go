package mainnode

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Times that a stranger or a slow peer is given.
const (
	firstTime    = 5 * time.Second  // from connecting to the first byte, and to a whole message of plain JSON
	strangerTime = 10 * time.Second // from connecting to a complete hello: bad Wi-Fi takes seconds for the ways that TLS goes
	writeTime    = 30 * time.Second // for the other side to take what is sent
	lastWords    = time.Second      // to take what is said before the end
)

// Bounds of what waits to be sent to one session.
const (
	maxWaiting     = 50_000 // messages; a peer that lets so many wait is cut off
	enoughForNow   = 512    // messages; who streams waits until there are fewer
	fewAnswers     = 8      // messages, of up to a mebibyte; the next question is not answered until there are fewer
	followsAtATime = 256    // of one session
)

// conn is a session's connection: it decodes and checks what comes in, and sends what the loop decided.
type conn struct {
	id   int64
	node *Node
	raw  net.Conn
	wire *wire.Conn
	log  *slog.Logger

	role    atomic.Value // wire.Role, set with welcome
	who     atomic.Pointer[standing]
	ended   atomic.Bool // what it still says is not listened to
	peer    string      // fingerprint of the other side's certificate; empty: it has shown none
	address string      // of the other side
	local   string      // the user of this host at the other side; empty: it came by the network
	out     outbox
	follows follows
}

// standing is who a session speaks for.
type standing struct {
	owner     string // whose jobs alone it may see; empty: all
	who, from string // for the audit log
}

// owner is whose jobs alone the session may see; empty: all.
func (c *conn) owner() string {
	if s := c.who.Load(); s != nil {
		return s.owner
	}
	return ""
}

// owns refuses what belongs to somebody else, as if it were not there.
func (c *conn) owns(ctx context.Context, id task.ID, job task.JobID) error {
	mine := c.owner()
	if mine == "" {
		return nil
	}
	owner, _, err := c.node.db.JobOwner(ctx, job)
	if err == nil && owner != mine {
		err = wire.Errorf(task.ErrNotFound, "task %s", id)
	}
	return err
}

// serve speaks with one peer until either side ends it.
func (n *Node) serve(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	raw.SetDeadline(began.Add(firstTime))
	c := &conn{id: n.lastSession.Add(1), node: n, raw: raw}
	if err := c.meet(ctx, raw, began.Add(strangerTime)); err != nil {
		n.strangers.leave(raw, false)
		if errors.Is(err, errServed) {
			return
		}
		n.log.Debug("connection refused", "from", raw.RemoteAddr().String(), "err", err)
		if isMistaken(err) {
			c.denied(&wire.Message{Type: "handshake"}, wire.Errorf(wire.ErrAuth, "who connected looks for a main node with another fingerprint"))
		}
		return
	}
	c.log = n.log.With("session", c.id)
	c.out.init()
	c.follows.init()
	n.open(c)
	defer n.forget(c)
	if c.peer != "" && n.enrolled(ctx, c.peer) {
		c.wire.SetLimit(wire.MaxMessage) // its hello lists all that it holds
	}
	// The end of the outbox ends the writer, which closes the connection, which ends the reader.
	stop := context.AfterFunc(ctx, c.out.close)
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() { c.write(raw) })
	c.read(ctx)
	cancel()
	c.follows.wait()
	c.out.close()
	writer.Wait()
}

// meet finds out who is at the other side, as far as that is to be seen before they speak. Who speaks TLS has until then to say all of it.
func (c *conn) meet(ctx context.Context, raw net.Conn, until time.Time) (err error) {
	if u, ok := raw.(*net.UnixConn); ok {
		c.wire = wire.NewConn(raw)
		if c.local, err = localUser(u); err != nil {
			c.wire.ReadMessage() // or what was said last could be lost to who has not read it yet
			c.wire.WriteMessages(wire.Message{Type: wire.TypeError, Body: wire.NewError(err)})
		}
		return err
	}
	c.address, _, _ = net.SplitHostPort(raw.RemoteAddr().String())
	secure, err := c.node.secure(ctx, raw, until)
	if err == nil {
		c.wire, c.peer = wire.NewConn(secure), wire.PeerFingerprint(secure.ConnectionState())
	}
	return err
}

// errServed says that a connection had its answer, and nothing more is to come.
var errServed = errors.New("plain JSON, answered")

// secure looks at the first byte: TLS goes on, plain JSON has its answer, anything else is left.
func (n *Node) secure(ctx context.Context, raw net.Conn, until time.Time) (*tls.Conn, error) {
	r := bufio.NewReaderSize(raw, 1)
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	switch first[0] {
	case 0x16:
		raw.SetDeadline(until)
		c := tls.Server(&peeked{raw, r}, n.tls)
		return c, c.HandshakeContext(ctx)
	case '{':
		if err := n.plain(ctx, raw, r); err != nil {
			return nil, fmt.Errorf("plain JSON: %w", err)
		}
		return nil, errServed
	}
	return nil, errors.New("neither TLS nor JSON")
}

// peeked reads what was peeked first.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.r.Buffered() > 0 {
		return p.r.Read(b)
	}
	return p.Conn.Read(b)
}

// read takes messages until the connection ends. Its last word to the loop is that the session is over.
func (c *conn) read(ctx context.Context) {
	defer c.node.give(&Input{Session: c.id})
	bad, since := 0, time.Now()
	for {
		m, err := c.wire.ReadMessage()
		if err == nil {
			err = c.take(ctx, m)
		}
		switch {
		case err == nil:
		case errors.Is(err, wire.ErrJSON) || errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrField) || errors.Is(err, wire.ErrUnknownType) || isAnswer(err):
			c.reply(m, nil, err)
			if isDenied(err) {
				c.denied(&m, err)
			}
			if time.Since(since) > badTime {
				bad, since = 0, time.Now()
			}
			unreadable := errors.Is(err, wire.ErrJSON)
			if bad++; errors.Is(err, wire.ErrTooLarge) || unreadable && bad > mostBad || c.role.Load() == nil && (unreadable || isDenied(err)) {
				return
			}
		default:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.reply(m, nil, fmt.Errorf("no whole message came in time: %w", wire.ErrTimeout))
			}
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				c.log.Debug("connection ended", "err", err)
			}
			return
		}
	}
}

// Messages that cannot be read, after which a peer is not listened to any longer.
const (
	mostBad = 5
	badTime = time.Minute
)

// isMistaken says whether a handshake ended because the other side did not take this main node for the right one.
func isMistaken(err error) bool {
	return strings.HasSuffix(err.Error(), "remote error: tls: bad certificate") // the type of an alert is crypto/tls's own
}

// denied audits what was refused without the core.
func (c *conn) denied(m *wire.Message, err error) {
	e := entry{From: c.address, What: fmt.Sprintf("%.40s", m.Type)}
	if who := c.who.Load(); who != nil {
		e.Who, e.From = who.who, who.from
	}
	c.node.give(Ask(func(core *Core) { core.failed(e, err) }))
}

// errEnded is what is said after the end of a session.
var errEnded = errors.New("the session has ended")

// isAnswer says whether an error is an answer to a message, rather than the end of the connection.
func isAnswer(err error) bool {
	e := wire.NewError(err)
	return e.Code != "E_INTERNAL"
}

// reply answers a message with an ack or an error.
func (c *conn) reply(to wire.Message, body any, err error) {
	m := wire.Message{Type: wire.TypeAck, ReplyTo: to.ID, Body: body}
	if errors.Is(err, context.Canceled) {
		return // the session has ended
	}
	if err != nil {
		e := wire.NewError(err)
		if e.Code == "E_INTERNAL" {
			c.log.Error("cannot answer", "message", to.Type, "err", err)
		}
		m.Type, m.Body = wire.TypeError, e
	} else if to.ID == "" {
		return
	}
	c.out.put(m)
}

// welcomed lets the session do what its role may, and gives it all the time it likes.
func (c *conn) welcomed(role wire.Role, who standing) {
	c.who.Store(&who)
	c.role.Store(role)
	c.wire.SetLimit(wire.MaxMessage)
	c.wire.BePatient()
}

// end ends the session: nothing that it says any more is heard, and the other side has a second to hear what it was told last.
func (c *conn) end() {
	c.ended.Store(true)
	c.out.close()
	c.raw.SetWriteDeadline(time.Now().Add(lastWords))
	c.raw.SetReadDeadline(time.Now())
}

// write sends what is put into the outbox, as much at once as there is.
func (c *conn) write(raw net.Conn) {
	defer raw.Close()
	for {
		ms, ok := c.out.take()
		if len(ms) > 0 {
			within := writeTime
			if c.ended.Load() {
				within = lastWords
			}
			c.wire.SetWriteDeadline(time.Now().Add(within))
			if err := c.wire.WriteMessages(ms...); err != nil {
				c.log.Debug("cannot send", "err", err)
				c.out.close()
				return
			}
		}
		if !ok {
			return
		}
	}
}

// outbox holds what is to be sent.
type outbox struct {
	mu      sync.Mutex
	waiting []wire.Message
	closed  bool
	filled  sync.Cond // there is something, or it is closed
	emptied sync.Cond // there is room, or it is closed
}

func (o *outbox) init() { o.filled.L, o.emptied.L = &o.mu, &o.mu }

// put never waits: the loop must not. A peer that takes too little is cut off.
func (o *outbox) put(m wire.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.waiting = append(o.waiting, m)
	if len(o.waiting) > maxWaiting {
		o.closed, o.waiting = true, nil
	}
	o.filled.Signal()
}

// waitFor waits until fewer messages than these wait; false: the session is over.
func (o *outbox) waitFor(few int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) >= few && !o.closed {
		o.emptied.Wait()
	}
	return !o.closed
}

// stream waits for room before it puts; false: the session is over.
func (o *outbox) stream(m wire.Message) bool {
	open := o.waitFor(enoughForNow)
	o.put(m)
	return open
}

// take waits for something to send; ok is false when nothing will follow.
func (o *outbox) take() (ms []wire.Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) == 0 && !o.closed {
		o.filled.Wait()
	}
	ms, o.waiting = o.waiting, nil
	o.emptied.Broadcast()
	return ms, !o.closed
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.filled.Broadcast()
	o.emptied.Broadcast()
}

// follows are the streams that a session has asked for.
type follows struct {
	mu      sync.Mutex
	running map[string]*follow // by the request's message_id
	group   sync.WaitGroup
}

type follow struct{ cancel context.CancelFunc }

func (f *follows) init() { f.running = map[string]*follow{} }

// start runs a stream in a goroutine of its own until it ends, is unfollowed, or the session ends.
func (f *follows) start(ctx context.Context, request string, run func(context.Context)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.running) >= followsAtATime || f.running[request] != nil {
		return wire.Errorf(wire.ErrBusy, "follow: %d streams on one connection", len(f.running))
	}
	ctx, cancel := context.WithCancel(ctx)
	this := &follow{cancel}
	f.running[request] = this
	f.group.Go(func() {
		run(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		cancel()
		if f.running[request] == this { // and not another that took its name after it was stopped
			delete(f.running, request)
		}
	})
	return nil
}

func (f *follows) stop(request string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if this := f.running[request]; this != nil {
		this.cancel()
		delete(f.running, request)
	}
}

func (f *follows) wait() {
	f.mu.Lock()
	for _, this := range f.running {
		this.cancel()
	}
	f.mu.Unlock()
	f.group.Wait()
}
