package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MaxSlots is how many attempts a device may run at once: what it holds must fit into one message.
const MaxSlots = 1024

// MaxAhead is how many attempts a device may hold beyond those that it can run.
const MaxAhead = 512

// Limits of what one message may be. They are bytes, but for MaxDepth.
const (
	MaxMessage  = 1 << 20
	MaxStranger = 16 << 10 // before welcome
	MaxDepth    = 32       // of objects and arrays in each other
)

// FrameTime is how long the other side may say nothing within a message.
const FrameTime = 30 * time.Second

// Conn reads and writes messages on a connection. One goroutine may read while others write.
type Conn struct {
	net.Conn
	limit   atomic.Int64
	r       *bufio.Reader
	patient atomic.Bool // see BePatient
	midway  bool        // more of a message was read than the buffer holds
	timed   bool        // the deadline is that of a message which has begun

	mu sync.Mutex // held to write
}

// NewConn speaks the protocol on c. It takes messages of at most MaxStranger bytes until SetLimit is called.
func NewConn(c net.Conn) *Conn {
	conn := &Conn{Conn: c}
	conn.r = bufio.NewReaderSize(source{conn}, 8<<10)
	conn.SetLimit(MaxStranger)
	return conn
}

// BePatient lets the other side say nothing for as long as it likes between messages, and for FrameTime within one. It takes the deadline for
// reading into its own hands.
func (c *Conn) BePatient() {
	c.SetReadDeadline(time.Time{})
	c.patient.Store(true)
}

// source is the connection, as the buffer reads it.
type source struct{ c *Conn }

func (s source) Read(p []byte) (int, error) {
	if c := s.c; (c.r.Buffered() > 0 || c.midway) && c.patient.Load() {
		c.SetReadDeadline(time.Now().Add(FrameTime))
		c.timed = true
	}
	return s.c.Conn.Read(p)
}

// SetLimit sets how many bytes a message that is read may have.
func (c *Conn) SetLimit(bytes int) { c.limit.Store(int64(bytes)) }

// ReadMessage reads the next message. Errors are io.EOF at the end, ErrTooLarge and ErrJSON for what is no message (after the
// latter one may go on reading), and those of the connection.
func (c *Conn) ReadMessage() (Message, error) {
	line, err := c.readLine()
	if err != nil {
		return Message{}, err
	}
	return ParseMessage(line)
}

// readLine reads up to the next newline without ever holding more than the limit.
func (c *Conn) readLine() ([]byte, error) {
	var whole []byte
	defer c.whole()
	for {
		c.midway = whole != nil
		part, err := c.r.ReadSlice('\n')
		if limit := c.limit.Load(); int64(len(whole)+len(part)) > limit {
			return nil, Errorf(ErrTooLarge, "more than %d bytes", limit)
		}
		switch {
		case err == nil && whole == nil:
			return part, nil
		case err == nil:
			return append(whole, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			whole = append(whole, part...)
		case errors.Is(err, io.EOF) && len(whole)+len(part) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// whole notes that no message is under way any longer.
func (c *Conn) whole() {
	c.midway = false
	if c.timed {
		c.timed = false
		c.SetReadDeadline(time.Time{})
	}
}

// ParseMessage reads one message. Its data is a copy. The error is ErrJSON.
func ParseMessage(line []byte) (Message, error) {
	line = bytes.TrimSpace(line)
	var m Message
	if len(line) == 0 || line[0] != '{' {
		return m, Errorf(ErrJSON, "a message begins with {")
	}
	if err := CheckJSON(line); err != nil {
		return m, err
	}
	if m, ok := split(line); ok {
		return m, nil
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, Errorf(ErrJSON, "%s", why(err))
	}
	if m.Type == "" {
		return m, Errorf(ErrJSON, "no message_type")
	}
	return m, nil
}

// draft is what is being written. Drafts are shared by all connections: one that has nothing to say holds none.
type draft struct {
	bytes.Buffer
	enc *json.Encoder
}

var drafts = sync.Pool{New: func() any {
	d := new(draft)
	d.enc = json.NewEncoder(&d.Buffer)
	d.enc.SetEscapeHTML(false)
	return d
}}

// writeAt is from how many bytes on a draft is written before more is added to it.
const writeAt = 64 << 10

// WriteMessages writes messages, as few times as it can. Body is encoded; a missing timestamp is filled in.
func (c *Conn) WriteMessages(ms ...Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := drafts.Get().(*draft)
	defer func() {
		if d.Cap() <= 4*writeAt {
			d.Reset()
			drafts.Put(d)
		}
	}()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	for i := range ms {
		if err := d.add(&ms[i], now); err != nil {
			return err
		}
		if d.Len() >= writeAt || i == len(ms)-1 {
			if _, err := d.WriteTo(c.Conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// outgoing is the envelope as it is written: its data is encoded in place.
type outgoing struct {
	Type      string `json:"message_type"`
	Sender    string `json:"sender_id,omitempty"`
	Target    string `json:"target_id,omitempty"`
	ID        string `json:"message_id,omitempty"`
	ReplyTo   string `json:"reply_to,omitempty"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data,omitempty"`
}

func (d *draft) add(m *Message, now string) error {
	o := outgoing{m.Type, m.Sender, m.Target, m.ID, m.ReplyTo, now, m.Body}
	if m.Body == nil && m.Data != nil {
		o.Data = m.Data
	}
	err := d.enc.Encode(&o) // ends with the newline that ends the message
	if errors.As(err, new(*json.UnsupportedValueError)) || errors.As(err, new(*json.MarshalerError)) {
		// Nothing of it was written. Who waits for it is told, rather than cut off.
		o.Type, o.Data = TypeError, Error{Code: "E_INTERNAL", Text: "the answer cannot be written as JSON: " + err.Error()}
		err = d.enc.Encode(&o)
	}
	return err
}
