// Package reload owns noticing that a file or a folder changed.
// It is for the rc- commands; its API may change in any release.
package reload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Debounce is a good time to wait for a writer to finish.
const Debounce = 150 * time.Millisecond

// patience is how many times the debounce a change waits at most, so that a file written without pause is noticed too.
const patience = 10

// Watcher watches one file or one folder from [Open] on.
type Watcher struct {
	path   string // absolute
	dir    string // the folder that is watched
	folder bool   // everything in dir counts, not only path
	seen   fs.FileInfo
	events *fsnotify.Watcher
}

// Watch calls changed after the file or folder at path changed, until ctx ends; then it returns nil.
// It is Open and Run in one.
func Watch(ctx context.Context, path string, debounce time.Duration, changed func()) error {
	w, err := Open(path)
	if err != nil {
		return err
	}
	return w.Run(ctx, debounce, changed)
}

// Open begins to watch path: a folder, whose entries count but not those of its sub-folders, or a file, which need not exist yet.
// A file is watched through its folder, because whoever replaces a file by renaming leaves a watch on the file deaf.
// Open first and read the file then: no change is lost between. Run ends the watch.
func Open(path string) (*Watcher, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	w := &Watcher{path: abs, dir: filepath.Dir(abs)}
	w.seen, _ = os.Stat(abs)
	if w.seen != nil && w.seen.IsDir() {
		w.dir, w.folder = abs, true
	}
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	if err := w.events.Add(w.dir); err != nil {
		w.events.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	return w, nil
}

// Run calls changed, in its own goroutine, when nothing more has changed for the time debounce, or after ten times that.
// It returns nil when ctx ends, and an error when the watch was lost, as when the folder was removed. It may be called once.
func (w *Watcher) Run(ctx context.Context, debounce time.Duration, changed func()) error {
	defer w.events.Close()
	var pending <-chan time.Time
	var latest time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pending:
			pending, latest = nil, time.Time{}
			changed()
		case event, ok := <-w.events.Events:
			if !ok || w.lost(event) {
				return fmt.Errorf("watch %s: folder %s is gone", w.path, w.dir)
			}
			if w.concerns(event) {
				pending, latest = later(debounce, latest)
			}
		case err := <-w.events.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch %s: %w", w.path, err)
			}
			pending, latest = later(debounce, latest) // what was lost may have concerned us
		}
	}
}

// later waits for debounce, but not beyond latest, which the first change of a row sets.
func later(debounce time.Duration, latest time.Time) (<-chan time.Time, time.Time) {
	now := time.Now()
	if latest.IsZero() {
		latest = now.Add(patience * debounce)
	}
	return time.After(min(debounce, latest.Sub(now))), latest
}

// lost tells whether the watched folder itself went away.
func (w *Watcher) lost(event fsnotify.Event) bool {
	return event.Name == w.dir && event.Op&(fsnotify.Remove|fsnotify.Rename) != 0
}

// concerns tells whether an event in the folder is about what is watched. A file may also change without an event of its name:
// when it is a symbolic link through another link in the same folder, as Kubernetes mounts configurations.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod && !w.folder { // indexers and backups do that; in a folder a file may have become a program
		return false
	}
	before := w.seen
	w.seen, _ = os.Stat(w.path)
	return w.folder || event.Name == w.path || !same(before, w.seen)
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
