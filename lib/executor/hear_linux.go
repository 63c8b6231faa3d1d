package executor

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// What a host hears of a helper, and how it sees to it that the helper is not kept from speaking.

// empty takes all out of the line.
func (s *slot) empty() (all []*slotted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.line = s.line, nil
	return all
}

// serve hears what the helper says, and waits for its end.
func (s *slot) serve() {
	for s.hear() {
	}
	s.pool.leave(s)
	s.close()
	awaitEnd(s.pid)
	s.read() // what it has written before it was killed
	if s.cgroup != "" {
		writeGroup(s.cgroup, "cgroup.kill", "1") // nobody answers any more for what is in it
	}
	for i, r := range s.empty() {
		if i > 0 { // behind the one that ran then
			r.done <- exit{unbegun: true}
			continue
		}
		endProcesses(func(e entry) bool { return e.session == s.pid || livesIn(e.pid, r.owns) })
		r.done <- exit{orphaned: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	stop(s.guard)
	s.launches.Close()
	syscall.Close(s.orders)
	syscall.Close(s.verdicts)
	reap(s.pid)
	if err := s.room.close(); err != nil {
		s.pool.log.Warn("what attempts have left cannot be removed", "dir", s.room.top, "err", err)
	}
	if s.cgroup != "" {
		removeCgroup(s.cgroup)
	}
}

// hear waits for a bell and does what it says; there is none when the helper has ended, or is to.
func (s *slot) hear() bool {
	b, files, err := s.bell()
	if err != nil {
		return false
	}
	s.read()
	switch b.kind {
	case ringShow:
		s.show(b, files)
		s.read()
	case ringLong, ringProgress:
		message := make([]byte, b.size)
		if _, err := io.ReadFull(s.launches, message); err != nil {
			return false
		}
		if b.kind == ringProgress {
			s.say(b.attempt, string(message))
			break
		}
		s.judge(message)
		s.read()
	}
	return true
}

// say hands on what an attempt says of how far it has come.
func (s *slot) say(attempt uint32, text string) {
	s.mu.Lock()
	var tell func(string)
	for _, r := range s.line {
		if r.attempt == attempt {
			tell = r.progress
		}
	}
	s.mu.Unlock()
	if tell != nil {
		tell(text)
	}
}

// bell reads a bell, and what came with it.
func (s *slot) bell() (b bell, files []int, err error) {
	c, err := s.launches.SyscallConn()
	if err != nil {
		return b, nil, err
	}
	var buf [bellSize]byte
	var oob [64]byte
	var failed error
	err = c.Read(func(fd uintptr) (done bool) {
		n, oobn, _, _, err := syscall.Recvmsg(int(fd), buf[:], oob[:], syscall.MSG_CMSG_CLOEXEC)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			return false
		case err != nil:
			failed = err
		case n < bellSize: // they are sent as a whole
			failed = io.EOF
		default:
			files, failed = rights(oob[:oobn])
		}
		return true
	})
	b.get(&buf)
	return b, files, errors.Join(err, failed)
}

// read reads the verdicts that are there.
func (s *slot) read() {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for s.judgeAll() {
		n, err := syscall.Read(s.verdicts, buf[:])
		if n <= 0 && err != syscall.EINTR {
			return
		}
		s.unread = append(s.unread, buf[:max(n, 0)]...)
	}
}

// judgeAll takes the verdicts that were read; more says whether others may be.
func (s *slot) judgeAll() (more bool) {
	for len(s.unread) >= 4 {
		size := 4 + int(binary.LittleEndian.Uint32(s.unread))
		if len(s.unread) < size {
			return true
		}
		if !s.judge(s.unread[:size]) {
			return false
		}
		s.unread = s.unread[:copy(s.unread, s.unread[size:])]
	}
	return true
}

// judge takes a verdict, unless its attempt is to be shown before, which a bell says. A long one, which comes through the socket, may come later than those of
// attempts behind it. Who hears of the attempt's end finds its helper free, if nobody else is in line.
func (s *slot) judge(message []byte) (taken bool) {
	r := reader(message[4:])
	attempt, shown, e := r.verdict()
	first, ok := s.next(attempt, shown, e.left > 0 || e.dirty)
	if first != nil {
		s.pool.give(s)
		first.done <- e
	}
	return ok
}

// next takes an attempt out of the line. ok is false if it is to be shown before.
func (s *slot) next(attempt uint32, shown, spoiled bool) (first *slotted, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.line, func(r *slotted) bool { return r.attempt == attempt })
	switch {
	case i < 0:
		return nil, true // it was given up
	case shown && !s.long:
		return nil, false
	}
	first = s.line[i]
	s.line, s.long, s.spoiled = slices.Delete(s.line, i, i+1), false, spoiled
	return first, true
}

// show lets an attempt be seen that runs on. Those behind it are not begun.
func (s *slot) show(b bell, files []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	var first *slotted
	for _, r := range s.line {
		if r.attempt == b.attempt {
			first = r
		} else {
			r.done <- exit{unbegun: true}
		}
	}
	s.line, s.long = s.line[:0], first != nil
	if first == nil {
		closeAll(files)
		return
	}
	s.line = append(s.line, first)
	if len(files) != 2 { // too many files are open here
		s.command(order{kind: sayBlind, attempt: first.attempt})
	}
	first.seen <- viewOf(files, b.ran)
}

// viewOf is the view through the ends of two pipes. They do not arrive where too many files are open here: then nothing is seen.
func viewOf(files []int, ran time.Duration) view {
	v := view{ran: ran}
	if len(files) != 2 {
		closeAll(files)
		return v
	}
	for i, f := range []**os.File{&v.out, &v.err} {
		syscall.SetNonblock(files[i], true)
		*f = os.NewFile(uintptr(files[i]), "|0")
	}
	return v
}

func closeAll(files []int) {
	for _, fd := range files {
		syscall.Close(fd)
	}
}

const (
	guardEvery = 250 * time.Millisecond // to see whether a helper was stopped while it runs what is short
	guardMost  = 20                     // times in a row that it is found so, after which it is given up
)

// watch sees to it that the helper is not stopped for long by what it runs: those behind that would wait in vain.
func (s *slot) watch() {
	if s.quiet = 0; s.guard == nil {
		s.guard = time.AfterFunc(guardEvery, s.look)
	}
}

func (s *slot) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.long || len(s.line) == 0 {
		s.guard = nil
		return
	}
	if s.quiet++; !isStopped(s.pid) {
		s.quiet = 0
	}
	switch {
	case s.quiet > guardMost:
		syscall.Kill(s.pid, syscall.SIGKILL)
	case s.quiet > 0:
		syscall.Kill(s.pid, syscall.SIGCONT)
	}
	s.guard.Reset(guardEvery)
}
