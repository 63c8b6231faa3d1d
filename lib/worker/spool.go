package worker

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// spool keeps results on disk until they are judged: one log, to which records are added, and which is emptied when none of them is
// needed any more. A record is a line of JSON behind its checksum; one that was not written whole when the power went is left out.
//
// It is not synced, but for tasks that must not be run again: a power cut on the device then costs the run of a task, which "at least once"
// allows, and spares the flash.
type spool struct {
	path    string
	f       *os.File
	pending map[task.Lease]int64 // bytes of its record
	live    int64                // bytes of all of those
	size    int64                // bytes of the log, with those of draft
	draft   []byte               // records that are not written yet
}

// record is a line of the log: a result, or that one was judged.
type record struct {
	Lease  task.Lease   `json:"lease"`
	Result *task.Result `json:"result,omitempty"`
	Output []piece      `json:"output,omitempty"`
	Synced bool         `json:"synced,omitempty"`
	Judged bool         `json:"judged,omitempty"`
}

type piece struct {
	Stream  task.Stream `json:"stream"`
	AfterMS int64       `json:"after_ms"`
	Data    []byte      `json:"data"`
}

// openSpool opens the log and gives back the attempts whose results were not judged.
func openSpool(path string) (*spool, []Spooled, error) {
	s := &spool{path: path}
	kept, err := s.rewrite()
	return s, kept, err
}

// rewrite makes a new log of what is still needed, and puts it in the place of the old one when it is whole.
func (s *spool) rewrite() (kept []Spooled, err error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	if kept, err = readSpool(s.path); err != nil {
		return nil, fmt.Errorf("read the spool of results: %w", err)
	}
	f, err := os.OpenFile(s.path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the spool of results: %w", err)
	}
	fresh := &spool{path: s.path, f: f, pending: map[task.Lease]int64{}}
	for _, k := range kept {
		if err := fresh.add(k); err != nil {
			f.Close()
			return nil, err
		}
	}
	if err := errors.Join(fresh.flush(), f.Close()); err != nil {
		return nil, err
	}
	return kept, s.replace(fresh)
}

// replace has a new log take the place of the old one. Windows renames no file that is open, nor onto one that is.
func (s *spool) replace(fresh *spool) (err error) {
	if s.f != nil {
		s.f.Close()
	}
	if err = os.Rename(fresh.f.Name(), s.path); err != nil {
		err = fmt.Errorf("replace the spool of results: %w", err)
	} else {
		cli.SyncDir(filepath.Dir(s.path)) // or what is synced from now on would be in a file without a name
		*s = *fresh
	}
	f, e := os.OpenFile(s.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if e != nil {
		return errors.Join(err, fmt.Errorf("open the spool of results: %w", e))
	}
	s.f = f
	return err
}

func readSpool(path string) ([]Spooled, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var order []task.Lease
	byLease := map[task.Lease]*Spooled{}
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what stands behind the last newline was not written whole
		}
		if err != nil {
			return nil, err
		}
		rec, ok := parseRecord(line)
		switch {
		case !ok:
		case rec.Judged:
			delete(byLease, rec.Lease)
		case rec.Result != nil:
			order = append(order, rec.Lease)
			byLease[rec.Lease] = rec.spooled()
		}
	}
	var kept []Spooled
	for _, l := range order {
		if a := byLease[l]; a != nil {
			kept = append(kept, *a)
			delete(byLease, l)
		}
	}
	return kept, nil
}

const sumLength = 8 // hexadecimal digits of a CRC-32C

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func parseRecord(line []byte) (rec record, ok bool) {
	if len(line) < sumLength+2 {
		return rec, false
	}
	body := line[sumLength : len(line)-1]
	sum, err := strconv.ParseUint(string(line[:sumLength]), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(body, castagnoli) {
		return rec, false
	}
	return rec, json.Unmarshal(body, &rec) == nil
}

func (r *record) spooled() *Spooled {
	k := &Spooled{Lease: r.Lease, Result: *r.Result, Synced: r.Synced}
	var at int64
	for _, p := range r.Output {
		c := task.Chunk{Position: at, Stream: p.Stream, After: time.Duration(p.AfterMS) * time.Millisecond, Data: p.Data}
		k.Chunks = append(k.Chunks, c)
		at = c.End()
	}
	return k
}

// add adds an attempt's result, which is written with the next flush, or now if it must survive a power cut.
func (s *spool) add(k Spooled) error {
	before := s.size
	err := s.write(newRecord(k))
	if err == nil && k.Synced {
		err = s.sync()
	}
	s.pending[k.Lease] = s.size - before
	s.live += s.size - before
	return err
}

func newRecord(k Spooled) *record {
	rec := &record{Lease: k.Lease, Result: &k.Result, Synced: k.Synced}
	for _, c := range k.Chunks {
		rec.Output = append(rec.Output, piece{c.Stream, c.After.Milliseconds(), c.Data})
	}
	return rec
}

// sync brings what was written to the disk.
func (s *spool) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("sync the spool of results: %w", err)
	}
	return nil
}

// slack is how much of the log may be of no use before it is written anew.
const slack = 1 << 20

// judged forgets a result.
func (s *spool) judged(l task.Lease) error {
	size, ok := s.pending[l]
	if !ok {
		return nil
	}
	delete(s.pending, l)
	s.live -= size
	if len(s.pending) == 0 {
		s.size -= int64(len(s.draft))
		s.draft = s.draft[:0]
		if s.size > 0 {
			if err := s.f.Truncate(0); err != nil {
				return fmt.Errorf("empty the spool of results: %w", err)
			}
		}
		s.size = 0
		return nil
	}
	err := s.write(&record{Lease: l, Judged: true})
	if err == nil && s.size > 2*s.live+slack {
		_, err = s.rewrite()
	}
	return err
}

// mostDraft is how many bytes of records wait to be written together.
const mostDraft = 64 << 10

// write adds a record.
func (s *spool) write(rec *record) error {
	line, err := rec.line()
	if err != nil {
		return fmt.Errorf("write to the spool of results: %w", err)
	}
	if len(line) > mostDraft { // it is not copied
		if err := s.flush(); err != nil {
			return err
		}
		s.size += int64(len(line))
		s.draft = line
		defer func() { s.draft = nil }()
		return s.flush()
	}
	s.size += int64(len(line))
	if s.draft = append(s.draft, line...); len(s.draft) > mostDraft {
		return s.flush()
	}
	return nil
}

// flush writes what was added. Where only a part of it could be written, that is taken back: the next record begins a line.
func (s *spool) flush() error {
	if len(s.draft) == 0 {
		return nil
	}
	_, err := s.f.Write(s.draft)
	if err != nil {
		s.size -= int64(len(s.draft))
		err = fmt.Errorf("write to the spool of results: %w", errors.Join(err, s.f.Truncate(s.size)))
	}
	s.draft = s.draft[:0]
	return err
}

// line is the record as it is written. Its output, which may be long, is encoded in place.
func (r *record) line() ([]byte, error) {
	head := *r
	head.Output = nil
	body, err := json.Marshal(&head)
	if err != nil {
		return nil, err
	}
	size := sumLength + len(body) + len(`,"output":[]`) + 1
	for _, p := range r.Output {
		size += base64.StdEncoding.EncodedLen(len(p.Data)) + 64
	}
	line := make([]byte, sumLength, size)
	if len(r.Output) == 0 {
		line = append(line, body...)
	} else {
		line = append(append(line, body[:len(body)-1]...), `,"output":[`...)
		for i, p := range r.Output {
			if i > 0 {
				line = append(line, ',')
			}
			line = fmt.Appendf(line, `{"stream":%q,"after_ms":%d,"data":"`, p.Stream.String(), p.AfterMS)
			line = append(base64.StdEncoding.AppendEncode(line, p.Data), `"}`...)
		}
		line = append(line, "]}"...)
	}
	copy(line, fmt.Sprintf("%08x", crc32.Checksum(line[sumLength:], castagnoli)))
	return append(line, '\n'), nil
}

func (s *spool) close() error { return errors.Join(s.flush(), s.f.Close()) }
