package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzHeader looks at files of any kind in the place of the database. Only one that is ours is opened, and what is not is never changed.
func FuzzHeader(f *testing.F) {
	good := make([]byte, 100)
	copy(good, "SQLite format 3\x00")
	f.Add(good)
	ours := bytes.Clone(good)
	binary.BigEndian.PutUint32(ours[68:], uint32(applicationID))
	binary.BigEndian.PutUint32(ours[60:], 1)
	f.Add(ours)
	newer := bytes.Clone(ours)
	binary.BigEndian.PutUint32(newer[60:], 1<<31)
	f.Add(newer)
	f.Add(good[:71])
	f.Add([]byte("SQLite format 2\x00"))
	f.Add(make([]byte, 80))
	f.Add([]byte{})
	path := filepath.Join(f.TempDir(), "main.db")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkHeader(path)
		if got, e := os.ReadFile(path); e != nil || !bytes.Equal(got, b) {
			t.Fatalf("the file was changed: %v", e)
		}
		if err != nil {
			if !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) && !(errors.Is(err, ErrDamaged) && len(b) < 72) {
				t.Fatal(err)
			}
			return
		}
		if len(b) == 0 {
			return // new
		}
		if !bytes.HasPrefix(b, []byte("SQLite format 3\x00")) {
			t.Fatalf("%.20q is taken for a database", b)
		}
		var header [72]byte
		copy(header[:], b)
		if id, version := binary.BigEndian.Uint32(header[68:]), binary.BigEndian.Uint32(header[60:]); id != uint32(applicationID) && (id != 0 || version != 0) {
			t.Fatalf("a database of another program (%x, version %d) is taken for ours", id, version)
		}
	})
}

// FuzzLog reads write-ahead logs: with a head whose sum is right and frames of any bytes, and such as SQLite wrote, with one byte changed. It never needs more
// memory than a page, and never finds more ends of transactions than there are frames.
func FuzzLog(f *testing.F) {
	f.Add(uint32(4096), []byte("frames"), false)
	f.Add(uint32(1<<32-8), bytes.Repeat([]byte{7}, 1000), true)
	f.Add(uint32(512), make([]byte, 3*(frameHeader+512)), true)
	f.Add(uint32(0), make([]byte, 1000), false)
	f.Fuzz(func(t *testing.T, size uint32, frames []byte, big bool) {
		head := make([]byte, logHeader)
		magic, order := uint32(logMagic), binary.ByteOrder(binary.LittleEndian)
		if big {
			magic, order = logMagic|1, binary.BigEndian
		}
		binary.BigEndian.PutUint32(head, magic)
		binary.BigEndian.PutUint32(head[4:], 3007000)
		binary.BigEndian.PutUint32(head[8:], size)
		var s sum
		s.add(order, head[:24])
		binary.BigEndian.PutUint32(head[24:], s.a)
		binary.BigEndian.PutUint32(head[28:], s.b)
		ends, frame, err := endsAfterDamage(bytes.NewReader(frames), head)
		most := len(frames)/(frameHeader+512) + 1
		if err != nil || ends < 0 || ends > most || frame < -1 || frame > most {
			t.Fatalf("%d bytes of frames of %d: %d ends, frame %d, %v", len(frames), size, ends, frame, err)
		}
	})
}
