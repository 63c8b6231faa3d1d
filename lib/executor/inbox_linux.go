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
	files  []int  // that came with what was read
	oob    [64]byte
}

const inboxSize = 16 << 10 // more than most messages

func newInbox(socket int) *inbox { return &inbox{socket: socket, buf: make([]byte, 0, inboxSize)} }

// read reads a message. Before it waits for one, it calls idle.
func (in *inbox) read(idle func()) (message string, err error) {
	for flags := syscall.MSG_DONTWAIT; ; {
		if m := in.next(); m != "" {
			return m, nil
		}
		switch err := in.receive(flags); {
		case err == syscall.EAGAIN && flags != 0:
			idle()
			flags = 0
		case err != nil:
			return "", err
		}
	}
}

// file is the descriptor that came with a message which has one: they come in the messages' order.
func (in *inbox) file() (fd int) {
	if len(in.files) == 0 {
		return closed
	}
	fd, in.files = in.files[0], in.files[1:]
	return fd
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

func (in *inbox) receive(flags int) (err error) {
	n, oobn := 0, 0
	for {
		n, oobn, _, _, err = syscall.Recvmsg(in.socket, in.buf[len(in.buf):cap(in.buf)], in.oob[:], flags|syscall.MSG_CMSG_CLOEXEC)
		if err != syscall.EINTR {
			break
		}
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return err
	}
	in.buf = in.buf[:len(in.buf)+n]
	files, err := rights(in.oob[:oobn])
	in.files = append(in.files, files...)
	return err
}

// rights are the descriptors that came with a message.
func rights(oob []byte) (files []int, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return files, err
		}
		files = append(files, fds...)
	}
	return files, err
}
