package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/depot"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// The files that rc-logs --get fetches.

// getFiles fetches the files that a task has brought back into a directory, and prints their names there.
func (l *Logs) getFiles(ctx context.Context, std cli.Std, c *client.Client) error {
	id, dir := l.IDs[0], "."
	if len(l.IDs) == 2 {
		dir = l.IDs[1]
	}
	t, err := c.TaskFiles(ctx, id, l.Attempt)
	if err != nil {
		return err
	}
	files, err := broughtBack(&t, l.Attempt)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	p := newProgress(std, false)
	for i := range files {
		err := fetchFile(ctx, c, root, &files[i], p)
		p.clear(false)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, files[i].Name), err)
		}
		if err := sayResult(std, filepath.Join(dir, filepath.FromSlash(files[i].Name))); err != nil {
			return err
		}
	}
	return nil
}

// broughtBack are the files of an attempt; 0: of the newest, whose word counts.
func broughtBack(t *task.Task, attempt int) ([]task.File, error) {
	if attempt == 0 && !t.State.Ended() {
		return nil, fmt.Errorf("task %s is %s: its files come when it has ended; --attempt names an earlier one", t.ID, t.State)
	}
	if attempt == 0 {
		attempt = t.Attempt
	}
	for i := range t.Attempts {
		a := &t.Attempts[i]
		switch {
		case a.Number != attempt:
		case len(a.Files) == 0:
			return nil, fmt.Errorf("task %s has brought nothing back in attempt %d; rc-submit --out says what it is to bring", t.ID, attempt)
		default:
			return a.Files, task.CheckFiles(a.Files)
		}
	}
	return nil, fmt.Errorf("task %s has no attempt %d", t.ID, attempt)
}

// fetchFile fetches one file. It has its name when it is whole; what there is of it stays otherwise, to go on with.
func fetchFile(ctx context.Context, c *client.Client, root *os.Root, f *task.File, p *progress) error {
	name := filepath.FromSlash(f.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	switch same, err := isSame(root, name, f); {
	case err != nil:
		return err
	case same:
		return nil
	}
	part := filepath.FromSlash(path.Join(path.Dir(f.Name), "."+path.Base(f.Name)+"."+f.SHA256[:12]+".part"))
	w, err := root.OpenFile(part, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	defer w.Close()
	info, err := w.Stat()
	if err != nil {
		return err
	}
	have := info.Size()
	if have < f.Size || f.Size == 0 {
		err = c.FetchFile(ctx, f, have, w, func(n int64) {
			have += n
			p.say("fetching %s: %s of %s", path.Base(f.Name), cli.Bytes(have), cli.Bytes(f.Size))
		})
		if err != nil {
			return err
		}
	}
	if _, err := w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if sum, err := depot.Sum(w); err != nil || sum != f.SHA256 {
		return errors.Join(errors.New("what came is not what it was to be; try again"), err, root.Remove(part))
	}
	if f.Executable {
		if err := w.Chmod(info.Mode().Perm() | info.Mode().Perm()&0o444>>2); err != nil {
			return err
		}
	}
	return root.Rename(part, name)
}

// isSame says whether the file is there already. Another in its place is nothing to be overwritten.
func isSame(root *os.Root, name string, f *task.File) (bool, error) {
	r, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if sum, err := depot.Sum(r); err != nil || sum != f.SHA256 {
		return false, errors.Join(errors.New("another file is there; move it away, or name another directory"), err)
	}
	return true, nil
}
