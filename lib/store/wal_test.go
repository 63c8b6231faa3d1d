package store

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// spoiledLog is the head of a log and frames that end a transaction each, from the wrong one on all of a power cut.
func spoiledLog(frames int) (head, rest []byte) {
	const page = 4096
	head = make([]byte, logHeader)
	binary.BigEndian.PutUint32(head, logMagic)
	binary.BigEndian.PutUint32(head[8:], page)
	copy(head[16:], "saltsalt")
	var s sum
	s.add(binary.LittleEndian, head[:24])
	binary.BigEndian.PutUint32(head[24:], s.a)
	binary.BigEndian.PutUint32(head[28:], s.b)
	for range frames {
		f := make([]byte, frameHeader+page)
		binary.BigEndian.PutUint32(f[4:], 7) // the end of a transaction
		copy(f[8:], "saltsalt")
		rest = append(rest, f...)
	}
	return head, rest
}

// A frame's head that two sectors share may be half old: what it seems to end does not count. With pages of 4,096 bytes that is one in 64 frames or so.
func TestEndsAreCountedInWholeHeadsOnly(t *testing.T) {
	head, rest := spoiledLog(64)
	ends, frame, err := endsAfterDamage(bytes.NewReader(rest), head)
	shared := 0
	for n := range 64 {
		if at := (logHeader + n*(frameHeader+4096)) % sector; at > sector-frameHeader {
			shared++
		}
	}
	if err != nil || frame != 1 || shared == 0 || ends != 64-shared {
		t.Errorf("%d ends from frame %d (%v), want %d: %d heads lie across two sectors", ends, frame, err, 64-shared, shared)
	}
}
