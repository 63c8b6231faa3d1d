package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// SQLite reads a write-ahead log up to the first frame whose sum is wrong, and takes what follows for what a power cut left of the last transaction. Were
// that frame damaged later, all that was acknowledged after it would be gone without a word. But every transaction is on the disk before the next
// begins, so a power cut spoils no more than one: where the ends of two transactions follow a wrong frame, the log is damaged.

// logHeader is the first 32 bytes of a log, and frameHeader are those before each page, as SQLite's file format has them.
const (
	logHeader   = 32
	frameHeader = 24
	sector      = 512        // what a disk writes whole
	logMagic    = 0x377f0682 // its last bit: sums are of big-endian words
)

// checkLog says whether the log of a database is damaged. It must not be called while this process has the database open.
func checkLog(path string) error {
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head, again [logHeader]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil // nothing was written to it yet
	}
	ends, frame, err := endsAfterDamage(bufio.NewReaderSize(f, 1<<20), head[:])
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(again[:], 0); err != nil || again != head {
		return nil // it was begun anew meanwhile: a main node works on it, and has looked at it
	}
	if frame < 0 {
		return fmt.Errorf("%w: the head of %s-wal is, and so nothing in it can be read", ErrDamaged, path)
	}
	if ends > 1 {
		return fmt.Errorf("%w: frame %d of %s-wal is, and %d transactions from there on cannot be read", ErrDamaged, frame+1, path, ends)
	}
	return nil
}

// endsAfterDamage reads the frames behind the head, and counts the ends of transactions from the first wrong one on. frame is that one's number; it is
// -1 where the head is wrong and frames follow.
func endsAfterDamage(frames io.Reader, head []byte) (ends, frame int, err error) {
	word := binary.BigEndian.Uint32
	order := binary.ByteOrder(binary.LittleEndian)
	if word(head)&1 != 0 {
		order = binary.BigEndian
	}
	var s sum
	s.add(order, head[:24])
	size := word(head[8:])
	isPage := size >= 512 && size <= 64<<10 && size&(size-1) == 0
	headOK := word(head)&^1 == logMagic && s.is(head[24:]) && isPage
	if !headOK {
		if n, _ := io.CopyN(io.Discard, frames, frameHeader+512); n < frameHeader+512 || bytes.Equal(head, make([]byte, logHeader)) {
			return 0, 0, nil // no frame follows; or the system was to write it, and did not come to it
		}
		return 0, -1, nil
	}
	b := make([]byte, frameHeader+size)
	at := int64(logHeader - len(b))
	for good := true; ; {
		at += int64(len(b))
		if _, err := io.ReadFull(frames, b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			return ends, frame, err
		}
		ours := bytes.Equal(b[8:16], head[16:24]) // else it is of what the log held before it was begun anew
		if good {
			s.add(order, b[:8])
			s.add(order, b[frameHeader:])
			good = ours && s.is(b[16:24])
			frame++
		}
		// A head that two sectors share may be half of this frame and half of an older one, which says nothing.
		if whole := at%sector <= sector-frameHeader; !good && ours && whole && word(b[4:]) != 0 {
			ends++
		}
	}
}

// sum is SQLite's running sum over a log.
type sum struct{ a, b uint32 }

func (s *sum) add(order binary.ByteOrder, p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.a += order.Uint32(p) + s.b
		s.b += order.Uint32(p[4:]) + s.a
	}
}

// is compares with a sum as it is written, which is always big-endian.
func (s *sum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.a && binary.BigEndian.Uint32(p[4:]) == s.b
}
