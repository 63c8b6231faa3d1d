package executor

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"time"
)

// What a program says of how far it has come: a line on descriptor 3, of which the newest counts. All attempts of a slot write to one pipe, one after
// another, so that it costs nothing to those that say nothing.

const (
	progressFile  = "/dev/fd/3" // for programs that would write to a file
	progressEvery = 200 * time.Millisecond
	mostProgress  = 200 // bytes of it
)

// openProgress makes the pipe.
func (h *helper) openProgress() error {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	h.progress, h.says = fds[0], fds[1]
	h.own(h.says)
	return os.NewSyscallError("fcntl", syscall.SetNonblock(h.progress, true))
}

// readProgress reads what lies in the pipe, and returns the newest line.
func (h *helper) readProgress() (line string) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for total := 0; total < maxPipe; {
		n, err := syscall.Read(h.progress, buf[:])
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		total += n
		if l := newestLine(buf[:n]); l != "" {
			line = l
		}
	}
	return line
}

// newestLine is the last line in which anything stands, also one that has no end yet.
func newestLine(b []byte) string {
	for len(b) > 0 {
		b = bytes.TrimRight(b, "\r\n")
		i := bytes.LastIndexAny(b, "\r\n") + 1
		if line := strings.TrimSpace(strings.ToValidUTF8(string(b[i:]), "\uFFFD")); line != "" {
			return strings.ToValidUTF8(line[:min(len(line), mostProgress)], "")
		}
		b = b[:i]
	}
	return ""
}

// followProgress tells the host what the attempt says that runs, now and then.
func (h *helper) followProgress() {
	h.repeat(0, func() time.Duration {
		if line := h.readProgress(); line != "" {
			h.say(&bell{kind: ringProgress, attempt: h.attempt, size: uint32(len(line))})
			h.send([]byte(line), nil)
		}
		return progressEvery
	})
}
