package executor

import (
	"os"
	"syscall"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// handle is an open file as start takes it.
type handle = int

const closed handle = -1

func handleOf(f *os.File) handle { return int(f.Fd()) }

func descriptor(h handle) uintptr { return uintptr(h) }

// pipes joins a process with its output. Most processes end soon and print little: what they print is read when they have ended, without the poller
// and without a goroutine for each pipe, which would cost more than a hundredth of the process. Only while one runs on are its pipes pumped.
type pipes struct {
	in, out, err handle // our ends, which do not block
	theirs       [3]handle
	pumps        *pumps // nil: they are not pumped
}

func openPipes(l *launch, null *os.File, stdin bool) (p *pipes, err error) {
	p = &pipes{in: closed, out: closed, err: closed, theirs: [3]handle{closed, closed, closed}}
	if stdin {
		err = openPipe(&p.theirs[0], &p.in, &p.in)
	}
	if err == nil {
		err = openPipe(&p.out, &p.theirs[1], &p.out)
	}
	if err == nil {
		err = openPipe(&p.err, &p.theirs[2], &p.err)
	}
	if err != nil {
		p.closeTheirs()
		p.close()
		return nil, err
	}
	l.files = p.theirs
	if !stdin {
		l.files[0] = handleOf(null)
	}
	return p, nil
}

// openPipe makes a pipe of which only our end does not block.
func openPipe(r, w, ours *handle) error {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	*r, *w = fds[0], fds[1]
	if _, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(*ours), syscall.F_SETFL, syscall.O_NONBLOCK); errno != 0 {
		return os.NewSyscallError("fcntl", errno)
	}
	return nil
}

func closeHandle(h *handle) {
	if *h != closed {
		syscall.Close(*h)
		*h = closed
	}
}

func (p *pipes) closeTheirs() {
	for i := range p.theirs {
		closeHandle(&p.theirs[i])
	}
}

func (p *pipes) close() {
	closeHandle(&p.in)
	closeHandle(&p.out)
	closeHandle(&p.err)
}

// begin has the pipes carried from the start where there is something to be read by the process.
func (p *pipes) begin(stdin string, out *output) {
	if p.in != closed {
		p.carry(stdin, out)
	}
}

// pump has the pipes carried while the process runs on.
func (p *pipes) pump(out *output) {
	if p.pumps == nil {
		p.carry("", out)
	}
}

// carry gives our ends to pumps.
func (p *pipes) carry(stdin string, out *output) {
	p.pumps = &pumps{out: os.NewFile(uintptr(p.out), "|0"), err: os.NewFile(uintptr(p.err), "|0")}
	if p.in != closed {
		p.pumps.in = os.NewFile(uintptr(p.in), "|1")
	}
	p.in, p.out, p.err = closed, closed, closed
	p.pumps.start(stdin, out)
}

// end takes what is left in the pipes after the process's end.
func (p *pipes) end(out *output) {
	if p.pumps == nil && out.drain(task.Stdout, p.out) && out.drain(task.Stderr, p.err) {
		p.close()
		return
	}
	p.pump(out) // somebody holds them still
	p.pumps.end()
}

// drain writes what lies in a pipe; ended says that nothing more can come. It never waits.
func (o *output) drain(s task.Stream, pipe handle) (ended bool) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for total := 0; total < maxPipe; {
		n, err := syscall.Read(pipe, buf[:])
		switch {
		case err == syscall.EINTR:
		case err != nil || n == 0:
			return err != syscall.EAGAIN
		default:
			o.write(s, buf[:n])
			total += n
		}
	}
	return false
}
