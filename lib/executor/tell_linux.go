package executor

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How a helper tells its host what became of attempts: together, every few milliseconds and when it has nothing else to do.

const (
	tickEvery = 4 * time.Millisecond
	mostShort = 2 << 10  // bytes printed that come with a verdict in the pipe: less than what is written to a pipe as a whole
	mostWait  = 32 << 10 // bytes of verdicts that wait in it
)

const closed = -1

func closeHandle(fd *int) {
	if *fd != closed {
		syscall.Close(*fd)
		*fd = closed
	}
}

func (h *helper) closePipes() {
	closeHandle(&h.out)
	closeHandle(&h.err)
}

// drain takes what lies in the pipes of an attempt that is over, unless the host sees them. It never waits: all who could print are gone.
func (h *helper) drain(v *verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.shown = h.shown; v.shown {
		h.closePipes()
		return
	}
	polled := []unix.PollFd{{Fd: int32(h.out), Events: unix.POLLIN}, {Fd: int32(h.err), Events: unix.POLLIN}}
	for printed := true; printed && len(v.stdout)+len(v.stderr) < 2*maxPipe; {
		n, err := unix.Poll(polled, 0)
		if err == unix.EINTR {
			continue
		}
		printed = n > 0 && polled[0].Revents&unix.POLLIN != 0 && readMore(h.out, &v.stdout)
		printed = n > 0 && polled[1].Revents&unix.POLLIN != 0 && readMore(h.err, &v.stderr) || printed
	}
	h.closePipes()
}

const swallowEvery = 20 * time.Millisecond

// swallow reads what the attempt prints that runs, for nobody: otherwise it could not go on.
func (h *helper) swallow() {
	h.repeat(0, func() time.Duration {
		for _, pipe := range []int{h.out, h.err} {
			p := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLIN}}
			for n, err := unix.Poll(p, 0); err == nil && n > 0 && p[0].Revents&unix.POLLIN != 0; n, err = unix.Poll(p, 0) {
				var nothing []byte
				if !readMore(pipe, &nothing) {
					break
				}
			}
		}
		return swallowEvery
	})
}

// readMore reads what lies in a pipe, which is something.
func readMore(pipe int, to *[]byte) (ok bool) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	n, err := syscall.Read(pipe, buf[:])
	if n > 0 {
		*to = append(*to, buf[:n]...)
	}
	return n > 0 || err == syscall.EINTR
}

// tell writes how an attempt ended. What it printed goes through the socket where it is too long for the pipe.
func (h *helper) tell(v *verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.message = verdictMessage(h.message, v)
	if len(v.stdout)+len(v.stderr) > mostShort {
		h.say(&bell{kind: ringLong, size: uint32(len(h.message))})
		h.send(h.message, nil)
		h.message, h.unheard = nil, 0
		return
	}
	for {
		_, err := syscall.Write(slotVerdict, h.message)
		if err == syscall.EAGAIN { // the host has not read for a while, or the system gives small pipes only
			h.unheard = max(h.unheard, 1)
			h.ringNow()
			h.mu.Unlock()
			unix.Poll([]unix.PollFd{{Fd: slotVerdict, Events: unix.POLLOUT}}, 100)
			h.mu.Lock()
			continue
		}
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return // the host is gone, as the next launch will say
		}
	}
	if h.unheard += len(h.message); h.unheard > mostWait {
		h.ringNow()
	}
}

// ring tells the host to read what it has not.
func (h *helper) ring() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ringNow()
}

func (h *helper) ringNow() {
	if h.unheard > 0 {
		h.unheard = 0
		h.say(&bell{kind: ringNews})
	}
}

func (h *helper) say(b *bell, files ...int) (said bool) {
	var buf [bellSize]byte
	b.put(&buf)
	return h.send(buf[:], files)
}

// send sends to the host. If it is gone, the next launch will say so.
func (h *helper) send(b []byte, files []int) (sent bool) {
	var oob []byte
	if len(files) > 0 {
		oob = syscall.UnixRights(files...)
	}
	for len(b) > 0 {
		n, err := syscall.SendmsgN(slotLaunch, b, oob, nil, syscall.MSG_NOSIGNAL)
		switch err {
		case nil:
			b, oob = b[n:], nil
		case syscall.EINTR:
		default:
			return false
		}
	}
	return true
}

// tickOn has the helper look around every few milliseconds while it has something to do.
func (h *helper) tickOn() {
	if h.ticking {
		return
	}
	h.ticking, h.ticked = true, 0
	if h.tick == nil {
		h.tick = time.AfterFunc(tickEvery, h.look)
		return
	}
	h.tick.Reset(tickEvery)
}

// look tells what the host has not heard, and shows it the attempt that runs since the last look. There is nothing more to look for then.
func (h *helper) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ringNow()
	switch {
	case h.attempt != h.ticked: // it began since
		h.ticked = h.attempt
		h.tick.Reset(tickEvery)
	case h.out == closed || h.shown: // it is over, or seen
		h.ticking = false
	default:
		if h.ticking = !h.show(); h.ticking { // it could not be: later
			h.tick.Reset(tickEvery)
		}
	}
}

// show gives the host the pipes of the attempt that runs. Those behind it have waited for long enough: the host has them begun elsewhere.
func (h *helper) show() (shown bool) {
	if !h.say(&bell{kind: ringShow, attempt: h.attempt, ran: time.Since(h.began)}, h.out, h.err) {
		return false
	}
	h.line++
	h.shown = true
	h.meter()
	h.throttle()
	h.followProgress()
	return true
}
