package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/retire-cluster/retire-cluster/lib/depot"
	"github.com/retire-cluster/retire-cluster/lib/executor"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// courier fetches the files that attempts are sent, and takes away what they bring back, over connections of its own. Files stay in a cache for as long
// as there is room: another attempt may be sent the same.
type courier struct {
	kept    *depot.Depot
	most    int64         // bytes in it, that no attempt needs now
	limit   *rate.Limiter // bytes a second; nil: any
	connect func(ctx context.Context) (*wire.Conn, error)

	mu   sync.Mutex
	idle []*wire.Conn
}

const (
	mostIdle   = 2
	idleFor    = time.Minute
	sayEvery   = 500 * time.Millisecond // how far it has come
	turnEvery  = 100 * time.Millisecond // to see whether another attempt is done with the same file
	limitPiece = 64 << 10
	longAgo    = time.Hour
	fullFor    = time.Hour // for which a main node that has no room is waited for
)

func newCourier(dir string, most, bandwidth int64, connect func(context.Context) (*wire.Conn, error)) (*courier, error) {
	kept, err := depot.Open(dir, false)
	if err != nil {
		return nil, err
	}
	c := &courier{kept: kept, most: most, connect: connect}
	if bandwidth > 0 {
		c.limit = rate.NewLimiter(rate.Limit(bandwidth), limitPiece)
	}
	return c, kept.Trim(most)
}

// errDamaged says that a file cannot be had.
var errDamaged = errors.New("what the main node has of it is damaged")

// load is files on their way, and how far they have come.
type load struct {
	what string // "fetching its files"
	all  int64
	done int64
	ever int64 // bytes that were moved, those too that have to be moved again
	say  func(string)
	said time.Time
}

func newLoad(what string, files []task.File, say func(string)) *load {
	l := &load{what: what, say: say}
	for i := range files {
		l.all += files[i].Size
	}
	return l
}

func (l *load) moved(n int64) {
	l.ever += n
	if l.done += n; time.Since(l.said) > sayEvery {
		l.said = time.Now()
		l.say(fmt.Sprintf("%d%% %s", 100*l.done/max(l.all, 1), l.what))
	}
}

// fetch has the files be here that an attempt is sent. release lets them be removed again. An error is about a file that cannot be had, or ctx's.
func (c *courier) fetch(ctx context.Context, files []task.File, say func(string)) (inputs []executor.Input, release func(), err error) {
	var held []func()
	release = func() {
		for _, free := range held {
			free()
		}
		c.kept.Trim(c.most)
	}
	l := newLoad("fetching its files", files, say)
	for i := range files {
		f := &files[i]
		held = append(held, c.kept.Hold(f.SHA256))
		if err := c.again(ctx, l, func() error { return c.fetchOne(ctx, f, l) }); err != nil {
			release()
			return nil, nil, fmt.Errorf("input %s: %w", f.Name, err)
		}
		path, err := c.kept.Path(f.SHA256)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("input %s: %w", f.Name, err)
		}
		inputs = append(inputs, executor.Input{Name: f.Name, Path: path, Executable: f.Executable})
	}
	return inputs, release, nil
}

func (c *courier) fetchOne(ctx context.Context, f *task.File, l *load) error {
	in, err := c.kept.Receive(f.SHA256, f.Size)
	if errors.Is(err, fs.ErrExist) {
		l.moved(f.Size)
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	begin := in.Offset()
	l.done += begin
	if begin < f.Size {
		err = c.over(ctx, func(k *wire.Conn) error {
			return k.Get(wire.FileGet{SHA256: f.SHA256, Offset: in.Offset()}, func(size int64) (io.Writer, error) {
				if size != f.Size {
					return nil, fmt.Errorf("the main node has %d bytes of it, not %d", size, f.Size)
				}
				return &slowly{ctx, c.limit, in, nil, l.moved}, nil
			})
		})
		if err != nil {
			l.done -= in.Offset()
			return err
		}
	}
	if err := in.Commit(); err != nil {
		l.done -= in.Offset()
		if begin == 0 && errors.Is(err, depot.ErrOther) {
			return errDamaged // and so it will be the next time
		}
		return err
	}
	return nil
}

// take keeps what an attempt has left, of what is to be brought back; with all there must be something for each pattern. The error says what is missing.
func (c *courier) take(left *os.Root, patterns []string, all bool) (files []task.File, release func(), err error) {
	names, missing, err := executor.Left(left, patterns)
	switch {
	case err != nil:
		return nil, nil, err
	case all && len(missing) > 0:
		return nil, nil, fmt.Errorf("it left nothing that --out %q names", missing[0])
	}
	if len(names) > task.MaxFiles {
		return nil, nil, fmt.Errorf("it left %d files, and brings back at most %d", len(names), task.MaxFiles)
	}
	var held []func()
	release = func() {
		for _, free := range held {
			free()
		}
		c.kept.Trim(c.most)
	}
	for _, name := range names {
		f, free, err := c.takeOne(left, name)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("--out %s: %w", name, err)
		}
		held = append(held, free)
		files = append(files, f)
	}
	if err := task.CheckFiles(files); err != nil {
		release()
		return nil, nil, err
	}
	return files, release, nil
}

func (c *courier) takeOne(left *os.Root, name string) (f task.File, release func(), err error) {
	from, err := left.Open(name)
	if err != nil {
		return f, nil, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return f, nil, err
	}
	f = task.File{Name: name, Executable: info.Mode()&0o111 != 0}
	f.SHA256, f.Size, release, err = c.kept.Add(from)
	return f, release, err
}

// send brings files to the main node.
func (c *courier) send(ctx context.Context, files []task.File, say func(string)) error {
	for { // what nobody knows of yet is not kept for ever: it is offered again if that took long
		begin := time.Now()
		if err := c.sendAll(ctx, files, say); err != nil || time.Since(begin) < longAgo {
			return err
		}
	}
}

func (c *courier) sendAll(ctx context.Context, files []task.File, say func(string)) error {
	l := newLoad("bringing back its files", files, say)
	for i := range files {
		f := &files[i]
		before := l.done
		err := c.again(ctx, l, func() error {
			l.done = before
			return c.over(ctx, func(k *wire.Conn) error { return c.sendOne(ctx, k, f, l) })
		})
		if err != nil {
			return fmt.Errorf("--out %s: %w", f.Name, err)
		}
		l.done = before + f.Size
	}
	return nil
}

func (c *courier) sendOne(ctx context.Context, k *wire.Conn, f *task.File, l *load) error {
	var from *os.File
	defer func() {
		if from != nil {
			from.Close()
		}
	}()
	return k.Put(wire.FilePut{SHA256: f.SHA256, Size: f.Size}, func(offset int64) (io.Reader, error) {
		var err error
		if from, _, err = c.kept.Get(f.SHA256); err != nil {
			return nil, err
		}
		l.done += offset
		_, err = from.Seek(offset, io.SeekStart)
		return &slowly{ctx, c.limit, nil, from, l.moved}, err
	})
}

// run runs an attempt with the files that it is sent and brings back.
func (w *Worker) run(ctx context.Context, a *executor.Attempt, sink executor.Sink) task.Result {
	files := a.Spec.Files
	if files == nil {
		return w.exec.Run(ctx, *a, sink)
	}
	if len(files.In) > 0 {
		inputs, release, err := w.courier.fetch(ctx, files.In, a.Progress)
		if err != nil && ctx.Err() == nil {
			w.exec.Dismiss(a)
			return withoutFiles(err)
		}
		if err == nil {
			defer release()
		}
		a.Inputs = inputs
	}
	var left []task.File
	if len(files.Out) > 0 {
		a.Ended = func(root *os.Root, r *task.Result) {
			found, release, err := w.courier.take(root, files.Out, r.Status == task.AttemptCompleted)
			if err != nil {
				lacking(r, err)
				return
			}
			left = found
			context.AfterFunc(ctx, release) // which is over with the attempt
		}
	}
	r := w.exec.Run(ctx, *a, sink)
	if len(left) == 0 {
		return r
	}
	switch err := w.courier.send(ctx, left, a.Progress); {
	case err == nil:
		r.Files = left
	case ctx.Err() != nil:
		r = task.Result{Status: task.AttemptCancelled, Reason: "cancelled: " + context.Cause(ctx).Error(), Wall: r.Wall, Metrics: r.Metrics}
	default:
		lacking(&r, err)
	}
	return r
}

// withoutFiles is the result of an attempt that could not be sent its files. Where this device has no room for them, another may.
func withoutFiles(err error) task.Result {
	if errors.Is(err, syscall.ENOSPC) {
		return task.Result{Status: task.AttemptReleased, Reason: err.Error()}
	}
	return task.Result{Status: task.AttemptFailed, Reason: err.Error()}
}

// lacking has a result say that something could not be brought back: without that, the attempt has not done what it was to do.
func lacking(r *task.Result, err error) {
	if r.Status == task.AttemptCompleted {
		r.Status = task.AttemptFailed
	}
	if r.Reason != "" {
		r.Reason += "; "
	}
	r.Reason += err.Error()
}

// dialFiles makes a connection for files.
func (w *Worker) dialFiles(ctx context.Context) (*wire.Conn, error) {
	conn, _, err := w.reach(ctx, w.home.addresses(w.o.Env))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := ask(conn, wire.TypeHello, wire.Hello{Protocol: wire.Spoken, Software: w.o.Software, Files: true}, new(wire.Welcome)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// slowly passes bytes on no faster than may be.
type slowly struct {
	ctx   context.Context
	limit *rate.Limiter // nil: any
	w     io.Writer
	r     io.Reader
	moved func(int64)
}

func (s *slowly) Write(b []byte) (n int, err error) {
	if err := s.pause(len(b)); err != nil {
		return 0, err
	}
	n, err = s.w.Write(b)
	s.moved(int64(n))
	return n, err
}

func (s *slowly) Read(b []byte) (n int, err error) {
	n, err = s.r.Read(b[:min(len(b), s.piece())])
	if e := s.pause(n); e != nil {
		return 0, e
	}
	s.moved(int64(n))
	return n, err
}

// piece is how much goes on at once: no more than takes a second.
func (s *slowly) piece() int {
	if s.limit == nil {
		return limitPiece
	}
	return min(limitPiece, max(int(s.limit.Limit()), 1<<10))
}

func (s *slowly) pause(n int) error {
	if s.limit == nil {
		return s.ctx.Err()
	}
	for n > 0 {
		piece := min(n, s.piece())
		if err := s.limit.WaitN(s.ctx, piece); err != nil {
			return err
		}
		n -= piece
	}
	return nil
}

// again does something until it works, or can never work: a main node that is away, or whose disk is full, is waited for.
func (c *courier) again(ctx context.Context, l *load, do func() error) error {
	wait, since := newBackoff(), time.Now()
	room := true
	for {
		began, before := time.Now(), l.ever
		err := do()
		if room && errors.Is(err, syscall.ENOSPC) { // what is kept for others makes room first
			room = false
			c.kept.Trim(0)
			continue
		}
		full := errors.Is(err, wire.ErrStorageFull) && time.Since(since) > fullFor
		if err == nil || ctx.Err() != nil || full || c.final(err) {
			return errors.Join(err, context.Cause(ctx))
		}
		pause := wait.next(err)
		switch {
		case errors.Is(err, depot.ErrBusy):
			pause = turnEvery
		case l.ever > before:
			wait.connected(0, max(time.Since(began), usualLease)) // it gets on
			since = time.Now()
		default:
			l.say(fmt.Sprintf("%s: %v", l.what, err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// final says whether another try would meet the same.
func (c *courier) final(err error) bool {
	var told *wire.Error
	switch {
	case wire.IsLocal(err):
		return true
	case errors.As(err, &told):
		return !errors.Is(err, wire.ErrStorageFull) && !errors.Is(err, wire.ErrBusy) && !errors.Is(err, wire.ErrShutdown) && !errors.Is(err, wire.ErrInternal)
	}
	return errors.Is(err, errDamaged) || errors.Is(err, depot.ErrNotHere) || errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError))
}

// over does something over a connection.
func (c *courier) over(ctx context.Context, do func(*wire.Conn) error) error {
	k, err := c.borrow(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { k.Close() })
	err = do(k)
	if !stop() || err != nil {
		k.Close()
		return err
	}
	c.giveBack(k)
	return nil
}

func (c *courier) borrow(ctx context.Context) (*wire.Conn, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		k := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return k, nil
	}
	c.mu.Unlock()
	return c.connect(ctx)
}

func (c *courier) giveBack(k *wire.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= mostIdle {
		k.Close()
		return
	}
	c.idle = append(c.idle, k)
	time.AfterFunc(idleFor, func() { c.drop(k) })
}

// drop closes a connection that nobody has used since.
func (c *courier) drop(k *wire.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.idle {
		if o == k {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			k.Close()
			return
		}
	}
}

func (c *courier) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.idle {
		k.Close()
	}
	c.idle = nil
}
