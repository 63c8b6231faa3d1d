package executor

import (
	"encoding/binary"
	"io"
	"syscall"
)

// inbox reads messages from a socket, by blocking the thread: that is quicker than the poller where nothing else is to be done meanwhile.
type inbox struct {
	socket int
	buf    []byte // what was read and is not a whole message yet
	oob    [64]byte
}

const inboxSize = 16 << 10 // more than most messages

func newInbox(socket int) *inbox { return &inbox{socket: socket, buf: make([]byte, 0, inboxSize)} }

// read reads a message, and the descriptors that came with it.
func (in *inbox) read() (message string, files []int, err error) {
	for {
		if m := in.next(); m != "" {
			return m, files, nil
		}
		more, err := in.receive()
		if err != nil {
			return "", nil, err
		}
		files = append(files, more...)
	}
}

// next takes a whole message out of the buffer, or makes room for the rest of it.
func (in *inbox) next() (message string) {
	if len(in.buf) < headSize {
		return ""
	}
	n := 4 + int(binary.LittleEndian.Uint32(in.buf))
	switch {
	case len(in.buf) < n && cap(in.buf) < n:
		in.buf = append(make([]byte, 0, n), in.buf...)
		return ""
	case len(in.buf) < n:
		return ""
	}
	message = string(in.buf[:n])
	rest := in.buf[n:]
	if cap(in.buf) > inboxSize && len(rest) < inboxSize {
		in.buf = make([]byte, 0, inboxSize)
	}
	in.buf = append(in.buf[:0], rest...)
	return message
}

func (in *inbox) receive() (files []int, err error) {
	n, oobn := 0, 0
	for {
		n, oobn, _, _, err = syscall.Recvmsg(in.socket, in.buf[len(in.buf):cap(in.buf)], in.oob[:], syscall.MSG_CMSG_CLOEXEC)
		if err != syscall.EINTR {
			break
		}
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return nil, err
	}
	in.buf = in.buf[:len(in.buf)+n]
	messages, err := syscall.ParseSocketControlMessage(in.oob[:oobn])
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	return syscall.ParseUnixRights(&messages[0])
}
