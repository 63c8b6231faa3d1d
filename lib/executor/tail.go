package executor

// The last bytes of what is printed beyond the limit: they mostly say what went wrong.

const (
	tailSize  = 64 << 10 // of each stream
	tailShare = 1 << 20  // the least limit that has room for two of them
)

// tail holds the last bytes of a stream.
type tail struct {
	data  []byte // up to twice as many
	after int64  // bytes of the stream that were printed since the limit, but for those
}

func (t *tail) add(b []byte) {
	if len(b) >= tailSize {
		t.after += int64(len(t.data) + len(b) - tailSize)
		t.data = append(t.data[:0], b[len(b)-tailSize:]...)
		return
	}
	t.data = append(t.data, b...)
	if over := len(t.data) - tailSize; over > tailSize {
		t.after += int64(over)
		t.data = t.data[:copy(t.data, t.data[over:])]
	}
}

// last are the bytes that are kept.
func (t *tail) last() []byte {
	if over := len(t.data) - tailSize; over > 0 {
		t.after += int64(over)
		t.data = t.data[over:]
	}
	return t.data
}
