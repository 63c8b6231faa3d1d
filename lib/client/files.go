package client

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// fileTries is for how long a transfer is tried again that does not get on.
const fileTries = time.Minute

// SendFile has the main node keep a file, as far as it does not yet: a task can be sent it then. open opens it; moved, which may be nil, is called with each number of bytes that
// were sent. A transfer that is cut off goes on where it stopped.
// Errors: wire.ErrStorageFull, wire.ErrForbidden, wire.ErrConflict where the file is not what f says, those of open, and an *UnreachableError.
func (c *Client) SendFile(ctx context.Context, f *task.File, open func() (io.ReadSeekCloser, error), moved func(bytes int64)) error {
	return c.transfer(ctx, func(k *conn, went func(int64)) error {
		var from io.ReadSeekCloser
		defer func() {
			if from != nil {
				from.Close()
			}
		}()
		return k.Put(wire.FilePut{SHA256: f.SHA256, Size: f.Size}, func(offset int64) (io.Reader, error) {
			var err error
			if from, err = open(); err != nil {
				return nil, err
			}
			_, err = from.Seek(offset, io.SeekStart)
			return io.TeeReader(from, counter(went)), err
		})
	}, moved)
}

// FetchFile fetches a file that a task was sent, or has brought back, from an offset on.
// Errors: wire.ErrNoFile, wire.ErrForbidden, those of w, and an *UnreachableError.
func (c *Client) FetchFile(ctx context.Context, f *task.File, offset int64, w io.Writer, moved func(bytes int64)) error {
	return c.transfer(ctx, func(k *conn, went func(int64)) error {
		return k.Get(wire.FileGet{SHA256: f.SHA256, Offset: offset}, func(int64) (io.Writer, error) {
			return io.MultiWriter(w, counter(func(n int64) { offset += n; went(n) })), nil
		})
	}, moved)
}

// counter is told how much is written to it.
type counter func(int64)

func (c counter) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}

// transfer does something over a connection of its own, and again over another when that breaks, as long as it gets on.
func (c *Client) transfer(ctx context.Context, do func(k *conn, went func(int64)) error, moved func(int64)) error {
	var pause backoff
	tries := time.Now().Add(fileTries)
	went := func(n int64) {
		tries = time.Now().Add(fileTries)
		pause.reset()
		if moved != nil {
			moved(n)
		}
	}
	for {
		err := c.transferOnce(ctx, do, went)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !passing(err) || time.Now().After(tries) && !errors.Is(err, wire.ErrBusy):
			return err
		}
		if err := c.wait(ctx, &pause, err); err != nil {
			return err
		}
	}
}

func (c *Client) transferOnce(ctx context.Context, do func(k *conn, went func(int64)) error, went func(int64)) error {
	k, err := c.borrow(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { k.Close() })
	err = do(k, went)
	if stop() && err == nil {
		c.giveBack(k)
		return nil
	}
	k.Close()
	var told *wire.Error
	if err == nil || errors.As(err, &told) || wire.IsLocal(err) {
		return err
	}
	return met(k.main, err)
}
