package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// run is one row while it is measured: what it has started, and what it has found.
type run struct {
	ctx  context.Context
	set  *settings
	dir  string // for data, logs, and what commands read and print; removed at the end
	said io.Writer

	daemons  []*daemon // stopped at the end, the newest first
	closing  []func()  // called at the end, the newest first
	measures []Measure
	notes    []string
}

// notHere says that this host does not allow something to be measured.
type notHere struct{ why string }

func (n *notHere) Error() string { return n.why }

// mostTime is how long a row may take before it is given up.
func (s *settings) mostTime() time.Duration {
	if s.quick {
		return 2 * time.Minute
	}
	return 45 * time.Minute
}

// measure measures a row with daemons and a folder of its own, of which nothing is left when it returns.
func measure(ctx context.Context, set *settings, row row, dir string, said io.Writer) Outcome {
	limited, cancel := context.WithTimeout(ctx, set.mostTime())
	defer cancel()
	r := &run{ctx: limited, set: set, dir: filepath.Join(dir, row.name), said: said}
	began := time.Now()
	err := os.MkdirAll(r.dir, 0o755)
	if err == nil {
		err = row.measure(r)
	}
	var here *notHere
	if err == nil {
		err = r.dead()
	}
	if err != nil && !errors.As(err, &here) && ctx.Err() == nil {
		r.showLogs()
	}
	r.clear()
	o := Outcome{Row: row.name, About: row.about, Measures: r.measures, Notes: r.notes, Seconds: time.Since(began).Round(100 * time.Millisecond).Seconds()}
	switch {
	case here != nil:
		o.NotHere = here.why
	case err != nil:
		o.Failed = err.Error()
	}
	return o
}

func (r *run) path(name string) string { return filepath.Join(r.dir, name) }

func (r *run) size(full, quick int) int { return r.set.size(full, quick) }

// note adds a line for people to what was measured.
func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// atEnd has f called when the row is over.
func (r *run) atEnd(f func()) { r.closing = append(r.closing, f) }

// clear ends everything that was started, so that nothing of it disturbs what is measured next, and removes what it kept.
func (r *run) clear() {
	for _, f := range slices.Backward(r.closing) {
		f()
	}
	for _, d := range slices.Backward(r.daemons) {
		d.stop()
	}
	r.closing, r.daemons = nil, nil
	os.RemoveAll(r.dir)
}

// again clears in the middle of a row.
func (r *run) again() error {
	if err := r.dead(); err != nil {
		return err
	}
	r.clear()
	return os.MkdirAll(r.dir, 0o755)
}

// dead is the error of a daemon that ended without being asked to.
func (r *run) dead() error {
	for _, d := range r.daemons {
		if d.ended() && !d.asked.Load() {
			return fmt.Errorf("%s ended by itself: %v", d.name, d.err)
		}
	}
	return nil
}

func (r *run) showLogs() {
	for _, d := range r.daemons {
		fmt.Fprintf(r.said, "--- %s\n%s", d.logFile, d.lastLog(20))
	}
}

// sleep waits, unless the row is given up.
func (r *run) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// ready is how long something may take that usually takes much less than a second.
const ready = 30 * time.Second

// until waits for something to be so.
func (r *run) until(what string, is func() bool) error {
	for deadline := time.Now().Add(ready); !is(); {
		if err := errors.Join(r.ctx.Err(), r.dead()); err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %s: not so after %s", what, ready)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}
