// Package depot keeps files by their content: the main node those that tasks are sent and bring back, a worker those that it may need again.
// A file that comes in pieces, over connections that break, goes on where it stopped, and is there only when all of it is, and is what it was to be.
// It is for the rc- commands; its API may change in any release. Begin with Open.
package depot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// Errors that a caller may test.
var (
	ErrNotHere  = errors.New("no such file is kept here")
	ErrBusy     = errors.New("it is being received already")
	ErrOther    = errors.New("what was received is not what it was to be")
	errBadSum   = errors.New("not a SHA-256 in hexadecimal")
	errTooMuch  = errors.New("more came than was to come")
	errTooShort = errors.New("less came than was to come")
)

const (
	partSuffix = ".part"
	partsFor   = 7 * 24 * time.Hour // that were begun and not gone on with
)

// Depot is a folder of files, each named by the SHA-256 of what is in it. Its methods may be called at the same time.
type Depot struct {
	dir    string
	synced bool // a file that is there is on the disk

	mu       sync.Mutex
	coming   map[string]bool // by sum, or name of what is being added
	inUse    map[string]int
	seen     map[string]bool // files that were seen to be what they are to be, in this life
	reserved int64           // bytes that are to come
	bytes    int64           // that are there
}

// Open opens a depot, and makes the folder where there is none. With synced, a file that is there outlives a power cut.
func Open(dir string, synced bool) (*Depot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of files: %w", err)
	}
	d := &Depot{dir: dir, synced: synced, coming: map[string]bool{}, inUse: map[string]int{}, seen: map[string]bool{}}
	var err error
	_, d.bytes, err = d.list()
	return d, err
}

// CheckSum says whether a text can be the name of a file in a depot.
func CheckSum(sum string) error {
	if len(sum) != 2*sha256.Size || strings.Trim(sum, "0123456789abcdef") != "" {
		return fmt.Errorf("%.70q: %w", sum, errBadSum)
	}
	return nil
}

func (d *Depot) path(sum string) string { return filepath.Join(d.dir, sum) }

// Size is how large a file is; the error is ErrNotHere, or that of the file system. It counts as a use of the file.
func (d *Depot) Size(sum string) (int64, error) {
	f, size, err := d.Get(sum)
	if err != nil {
		return 0, err
	}
	f.Close()
	return size, nil
}

// Get opens a file to be read. The error is ErrNotHere, or that of the file system.
func (d *Depot) Get(sum string) (f *os.File, size int64, err error) {
	if err := CheckSum(sum); err != nil {
		return nil, 0, err
	}
	d.mu.Lock() // so that it is not removed before it counts as used
	defer d.mu.Unlock()
	f, err = os.Open(d.path(sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%.12s…: %w", sum, ErrNotHere)
	}
	if err != nil {
		return nil, 0, err
	}
	now := time.Now()
	os.Chtimes(f.Name(), now, now) // the least used are the first to go
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Path is where a file is that is held, for who reads it. The error is ErrNotHere.
func (d *Depot) Path(sum string) (string, error) {
	if _, err := d.Size(sum); err != nil {
		return "", err
	}
	return d.path(sum), nil
}

// Hold keeps a file from being removed until the function is called that it returns.
func (d *Depot) Hold(sum string) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inUse[sum]++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.inUse[sum]--; d.inUse[sum] <= 0 {
			delete(d.inUse, sum)
		}
	})
}

// Incoming is a file that is being received.
type Incoming struct {
	d      *Depot
	f      *os.File
	sum    string
	size   int64
	offset int64
}

// Receive begins to receive a file, or goes on with it. Errors are ErrBusy, fs.ErrExist where it is there already, and those of the file system.
func (d *Depot) Receive(sum string, size int64) (*Incoming, error) {
	if err := CheckSum(sum); err != nil {
		return nil, err
	}
	if have, err := d.Size(sum); err == nil && have == size && d.whole(sum) {
		return nil, fs.ErrExist
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coming[sum] {
		return nil, fmt.Errorf("%.12s…: %w", sum, ErrBusy)
	}
	f, err := os.OpenFile(d.path(sum)+partSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	offset := int64(0)
	if err == nil {
		if offset = info.Size(); offset > size {
			d.bytes -= offset
			offset, err = 0, f.Truncate(0)
		}
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	d.coming[sum] = true
	d.reserved += size - offset
	return &Incoming{d, f, sum, size, offset}, nil
}

// Offset is how much of the file is there.
func (in *Incoming) Offset() int64 { return in.offset }

// Write adds to the file.
func (in *Incoming) Write(b []byte) (int, error) {
	if in.offset+int64(len(b)) > in.size {
		return 0, errTooMuch
	}
	n, err := in.f.Write(b)
	in.offset += int64(n)
	in.d.mu.Lock()
	defer in.d.mu.Unlock()
	in.d.reserved -= int64(n)
	in.d.bytes += int64(n)
	return n, err
}

// Close stops receiving. What has come is kept, to go on with it.
func (in *Incoming) Close() error {
	in.d.mu.Lock()
	defer in.d.mu.Unlock()
	if in.f == nil {
		return nil
	}
	delete(in.d.coming, in.sum)
	in.d.reserved -= in.size - in.offset
	err := in.f.Close()
	if errors.Is(err, os.ErrClosed) { // it has its name
		err = nil
	}
	in.f = nil
	return err
}

// Commit has the file be there, if all of it has come. What is not what it was to be is thrown away, and the error is ErrOther.
func (in *Incoming) Commit() error {
	defer in.Close()
	if in.offset != in.size {
		return errTooShort
	}
	if _, err := in.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum, err := Sum(in.f)
	if err != nil {
		return err
	}
	if sum != in.sum {
		in.Discard()
		return fmt.Errorf("%.12s…: %w", in.sum, ErrOther)
	}
	return in.d.place(in.f, in.f.Name(), sum)
}

// Discard stops receiving, and throws away what has come.
func (in *Incoming) Discard() error {
	if in.f == nil {
		return nil
	}
	part := in.f.Name()
	in.f.Close()
	err := os.Remove(part)
	in.d.mu.Lock()
	in.d.bytes -= in.offset
	in.d.mu.Unlock()
	in.Close()
	return err
}

// place closes a whole file and gives it its name. Windows renames no file that is open.
func (d *Depot) place(f *os.File, from, sum string) error {
	if d.synced {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(from, d.path(sum)); err != nil {
		return err
	}
	d.mu.Lock()
	d.seen[sum] = true
	d.mu.Unlock()
	if d.synced {
		cli.SyncDir(d.dir)
	}
	return nil
}

// Add copies a file into the depot, and holds it there.
func (d *Depot) Add(from io.Reader) (sum string, size int64, release func(), err error) {
	f, err := os.CreateTemp(d.dir, "new-*"+partSuffix)
	if err != nil {
		return "", 0, nil, err
	}
	name := strings.TrimSuffix(filepath.Base(f.Name()), partSuffix)
	defer d.adding(name, true)()
	defer os.Remove(f.Name()) // unless it has another name by then
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(io.MultiWriter(f, h), from); err != nil {
		return "", 0, nil, err
	}
	sum = hex.EncodeToString(h.Sum(nil))
	release = d.Hold(sum)
	had, _ := d.Size(sum)
	if err := d.place(f, f.Name(), sum); err != nil {
		release()
		return "", 0, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += size - had
	return sum, size, release, nil
}

// adding keeps what is being added from being removed.
func (d *Depot) adding(name string, on bool) (done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.coming[name] = on
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.coming, name)
	}
}

// whole says whether a file is what it is to be, where that is not certain: one that is not is removed.
func (d *Depot) whole(sum string) bool {
	d.mu.Lock()
	known := d.synced || d.seen[sum]
	d.mu.Unlock()
	if known {
		return true
	}
	f, size, err := d.Get(sum)
	if err != nil {
		return false
	}
	is, err := Sum(f)
	f.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[sum] = err == nil && is == sum; !d.seen[sum] && os.Remove(d.path(sum)) == nil {
		d.bytes -= size
	}
	return d.seen[sum]
}

// Sum is the SHA-256 of what is read, in hexadecimal.
func Sum(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// kept is a file of a depot.
type kept struct {
	name string
	size int64
	used time.Time
}

// list lists what is there, what was used longest ago first.
func (d *Depot) list() (all []kept, bytes int64, err error) {
	entries, err := os.ReadDir(d.dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all = append(all, kept{e.Name(), info.Size(), info.ModTime()})
			bytes += info.Size()
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	return all, bytes, err
}

// Bytes is how much is kept, with what is to come.
func (d *Depot) Bytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes + d.reserved
}

// Reserved is how much is to come.
func (d *Depot) Reserved() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reserved
}

// Trim removes what was used longest ago, as long as more than that is kept. What is held stays.
func (d *Depot) Trim(most int64) error {
	all, bytes, err := d.list()
	for _, k := range all {
		if bytes <= most {
			break
		}
		if d.remove(&k) {
			bytes -= k.size
		}
	}
	return err
}

// Sweep removes the files for which wanted says no, and that nobody has used for so long; and what was begun long ago, and not gone on with.
func (d *Depot) Sweep(unused time.Duration, wanted func(sum string) (bool, error)) error {
	all, _, err := d.list()
	for _, k := range all {
		age := time.Since(k.used)
		if strings.HasSuffix(k.name, partSuffix) {
			if age > partsFor {
				d.remove(&k)
			}
			continue
		}
		if age < unused {
			continue
		}
		yes, e := wanted(k.name)
		if e != nil {
			return e
		}
		if !yes {
			d.remove(&k)
		}
	}
	return err
}

// remove removes a file, unless it is held or coming, or was used since.
func (d *Depot) remove(k *kept) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := strings.TrimSuffix(k.name, partSuffix)
	info, err := os.Lstat(d.path(k.name))
	if err != nil || info.ModTime().After(k.used) || d.coming[sum] || d.inUse[sum] > 0 || os.Remove(d.path(k.name)) != nil {
		return false
	}
	d.bytes -= info.Size()
	delete(d.seen, k.name)
	return true
}
