package wire

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Files travel on connections of their own, as they are: file_get and file_put are answered with how much is there, the bytes follow, and what was put
// is acknowledged when it is on the main node's disk.

// FileGet asks for a file, from an offset on.
type FileGet struct {
	SHA256 string `json:"sha256"`
	Offset int64  `json:"offset,omitempty"`
}

// FilePut offers a file.
type FilePut struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// FileState answers both: what is there.
type FileState struct {
	Size   int64 `json:"size"`             // of the whole file
	Offset int64 `json:"offset,omitempty"` // to a put: how much is there already; the rest is to follow, if there is one
}

const (
	rawPiece = 64 << 10
	rawTime  = 60 * time.Second // for the next piece to come, or to be taken
	fileTime = 5 * time.Minute  // for a whole file to be checked and to be on the disk
)

// SendRaw sends so many bytes as they are. No message may be under way.
func (c *Conn) SendRaw(r io.Reader, bytes int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.SetWriteDeadline(time.Time{})
	buf := make([]byte, rawPiece)
	for bytes > 0 {
		n, err := r.Read(buf[:min(int64(len(buf)), bytes)])
		if n == 0 && err != nil {
			return localError{fmt.Errorf("read what is sent: %w", noEOF(err))}
		}
		c.SetWriteDeadline(time.Now().Add(rawTime))
		if _, err := c.Conn.Write(buf[:n]); err != nil {
			return err
		}
		bytes -= int64(n)
	}
	return nil
}

// localError is about what becomes of the bytes here, not about the connection.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

// IsLocal says whether a transfer failed on this side, rather than by the connection or the other side.
func IsLocal(err error) bool { return errors.As(err, new(localError)) }

// ReceiveRaw receives so many bytes as they are.
func (c *Conn) ReceiveRaw(w io.Writer, bytes int64) error {
	defer c.SetReadDeadline(time.Time{})
	buf := make([]byte, rawPiece)
	for bytes > 0 {
		c.SetReadDeadline(time.Now().Add(rawTime))
		n, err := c.r.Read(buf[:min(int64(len(buf)), bytes)])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return localError{err}
			}
			bytes -= int64(n)
		}
		if err != nil && bytes > 0 {
			return noEOF(err)
		}
	}
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Put hands a file to the main node, as far as that does not have it. open is asked for what stands from an offset on.
func (c *Conn) Put(f FilePut, open func(offset int64) (io.Reader, error)) error {
	var has FileState
	if err := c.exchange(TypeFilePut, f, &has, rawTime); err != nil || has.Offset == f.Size {
		return err
	}
	if has.Offset < 0 || has.Offset > f.Size {
		return Errorf(ErrField, "file_put: the main node has %d of %d bytes", has.Offset, f.Size)
	}
	r, err := open(has.Offset)
	if err != nil {
		return localError{err}
	}
	if err := c.SendRaw(r, f.Size-has.Offset); err != nil {
		if told := c.whyCut(); told != nil {
			return told
		}
		return err
	}
	return c.answer(&has, fileTime)
}

// whyCut is what the main node has said before it cut a transfer off; nil: nothing.
func (c *Conn) whyCut() error {
	err := c.answer(nil, time.Second)
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return nil
}

// Get fetches a file from an offset on. open is told its size, and asked where the bytes go.
func (c *Conn) Get(g FileGet, open func(size int64) (io.Writer, error)) error {
	var has FileState
	if err := c.exchange(TypeFileGet, g, &has, rawTime); err != nil {
		return err
	}
	if has.Size < g.Offset {
		return Errorf(ErrField, "file_get: %d bytes, and %d are here already", has.Size, g.Offset)
	}
	w, err := open(has.Size)
	if err != nil {
		return localError{err}
	}
	return c.ReceiveRaw(w, has.Size-g.Offset)
}

// exchange asks and reads the answer, with nobody else on this connection.
func (c *Conn) exchange(messageType string, body, answer any, within time.Duration) error {
	c.SetWriteDeadline(time.Now().Add(rawTime))
	if err := c.WriteMessages(Message{Type: messageType, ID: "file", Body: body}); err != nil {
		return err
	}
	return c.answer(answer, within)
}

func (c *Conn) answer(answer any, within time.Duration) error {
	c.SetReadDeadline(time.Now().Add(within))
	defer c.SetReadDeadline(time.Time{})
	m, err := c.ReadMessage()
	switch {
	case err != nil:
		return noEOF(err)
	case m.Type == TypeError:
		e := &Error{Code: "E_INTERNAL"}
		if err := m.Decode(e); err != nil {
			return err
		}
		return e
	case answer == nil:
		return nil
	}
	return m.Decode(answer)
}
