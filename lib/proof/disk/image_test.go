//go:build linux && cgo

package disk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// The model of a power cut, on a disk that does what it says when it is told to flush.
//
// A file's bytes, its size and its name are three things. What was in a file when an fsync of it returned stays. Of what was done to it
// since then, any part may have reached the disk, in any order: each sector of 512 bytes of each write by itself (so pages are torn), each
// truncation by itself; and the file may be as long as any of the writes would have made it, with zeros where no data came. A name that
// was made or removed is so for certain only after an fsync of the folder; until then, each name for itself may be at any of its states
// since the last one: there is no help from an fsync of the file, nor an order among names, as a journalling file system gives both.
//
// That is worse than ext4 with its defaults in everything but one thing: no bytes of other files appear in a file that grew.
// A disk that says to have flushed what it has not is not in the model: nothing that software does helps there.

const sector = 512

// file is one that has or had a name.
type file struct {
	safe    []byte // as of the last fsync
	pending []op   // since then
	size    int64  // as programs see it now
}

// disk is the files of a folder, and what of them is certain.
type disk struct {
	now   map[string]*file   // as programs see it
	names map[string][]*file // for each name: what it was at the last fsync of the folder, and all that it became since then; nil is none
}

func newDisk() *disk {
	return &disk{now: map[string]*file{}, names: map[string][]*file{}}
}

// do follows a call.
func (d *disk) do(o *op) error {
	switch o.kind {
	case "open":
		if d.now[o.file] == nil && o.file != "." {
			d.rename(o.file, new(file))
		}
		return nil
	case "unlink":
		d.rename(o.file, nil)
		return nil
	case "begin", "done":
		return nil
	}
	if o.file == "." {
		for name, became := range d.names {
			d.names[name] = became[len(became)-1:]
		}
		return nil
	}
	f := d.now[o.file]
	if f == nil {
		return fmt.Errorf("%s of %s, which is not there", o.kind, o.file)
	}
	f.do(o)
	return nil
}

func (d *disk) rename(name string, f *file) {
	if d.names[name] == nil {
		d.names[name] = []*file{nil}
	}
	d.names[name] = append(d.names[name], f)
	d.now[name] = f
}

func (f *file) do(o *op) {
	switch o.kind {
	case "write":
		f.pending = append(f.pending, *o)
		f.size = max(f.size, o.at+int64(len(o.data)))
	case "truncate":
		f.pending = append(f.pending, *o)
		f.size = o.at
	case "sync":
		for i := range f.pending {
			f.safe = apply(f.safe, &f.pending[i])
		}
		f.pending = nil
	}
}

// apply gives the bytes after a write or a truncation.
func apply(b []byte, o *op) []byte {
	if o.kind == "truncate" {
		return resize(b, o.at)
	}
	if end := o.at + int64(len(o.data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[o.at:], o.data)
	return b
}

// resize cuts off, or adds zeros.
func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	n := int64(len(b))
	b = slices.Grow(b, int(size-n))[:size]
	clear(b[n:])
	return b
}

// luck says how a power cut goes: how much of what was not certain reached the disk.
type luck struct {
	r     *rand.Rand
	share float64 // of the sectors, or of the writes
	torn  bool    // writes are torn; else whole
	late  bool    // what was written last came first
	names bool    // names are at any state; else at their newest
}

func newLuck(r *rand.Rand) luck {
	l := luck{r: r, share: r.Float64(), torn: r.IntN(3) > 0, late: r.IntN(4) == 0, names: r.IntN(2) == 0}
	switch r.IntN(5) {
	case 0:
		l.share = 0
	case 1:
		l.share = 1
	}
	return l
}

func (l luck) hits() bool { return l.r.Float64() < l.share }

// leave writes into an empty folder what the power cut leaves of the disk.
func (d *disk) leave(dir string, l luck) error {
	for _, name := range sortedKeys(d.names) {
		became := d.names[name]
		f := became[len(became)-1]
		if l.names {
			f = became[l.r.IntN(len(became))]
		}
		if f == nil {
			continue
		}
		if err := f.leave(filepath.Join(dir, name), l); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) leave(path string, l luck) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.WriteAt(f.safe, 0); err != nil {
		return err
	}
	for i := range f.pending {
		if l.late && i < len(f.pending)/2 {
			continue
		}
		if err := land(out, &f.pending[i], l); err != nil {
			return err
		}
	}
	return f.grow(out, l)
}

// land lets a part of a write reach the disk.
func land(out *os.File, o *op, l luck) error {
	if o.kind == "truncate" {
		if l.hits() {
			return out.Truncate(o.at)
		}
		return nil
	}
	if !l.torn {
		if !l.hits() {
			return nil
		}
		_, err := out.WriteAt(o.data, o.at)
		return err
	}
	for from := int64(0); from < int64(len(o.data)); {
		to := min((o.at+from)/sector*sector+sector-o.at, int64(len(o.data)))
		if l.hits() {
			if _, err := out.WriteAt(o.data[from:to], o.at+from); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

// grow makes the file longer sometimes: the new size reached the disk, and the data did not.
func (f *file) grow(out *os.File, l luck) error {
	fi, err := out.Stat()
	if err != nil || fi.Size() >= f.size || l.r.IntN(3) > 0 {
		return err
	}
	return out.Truncate(fi.Size() + 1 + l.r.Int64N(f.size-fi.Size()))
}
