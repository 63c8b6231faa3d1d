package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// Ballast is disk space that is held in reserve: when the disk is full it is let go, so that what was promised can still be written.
type Ballast struct {
	path string
	size int64 // bytes
}

// Bounds of a ballast: a fiftieth of the disk, within these. The least is more than a write-ahead log before SQLite begins to shorten it, which
// would otherwise take all of it at once.
const (
	leastBallast = 8 << 20
	mostBallast  = 16 << 20
)

// NewBallast holds its space in a file.
func NewBallast(path string) *Ballast {
	b := &Ballast{path: path, size: mostBallast}
	if total, _, ok := Space(filepath.Dir(path)); ok {
		b.size = min(mostBallast, max(leastBallast, total/50))
	}
	return b
}

// Needs is how much of the disk must be free for Fill to leave room to work in.
func (b *Ballast) Needs() int64 { return b.size * 3 / 2 }

// Room says whether that much is free, apart from the ballast itself.
func (b *Ballast) Room() bool {
	_, free, ok := Space(filepath.Dir(b.path))
	return !ok || free >= b.Needs()
}

// Held says whether the space is held.
func (b *Ballast) Held() bool {
	fi, err := os.Stat(b.path)
	return err == nil && fi.Size() == b.size
}

// Fill takes the space where it is not held.
func (b *Ballast) Fill() error {
	if b.Held() {
		return nil
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(b.path), "."+filepath.Base(b.path)+".*")) // by a life that ended meanwhile
	for _, l := range left {
		os.Remove(l)
	}
	err := cli.WriteFileFrom(b.path, noise(b.size), 0o600)
	if err != nil {
		return fmt.Errorf("hold disk space in reserve: %w", err)
	}
	return nil
}

// noise is what no file system makes smaller.
func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{'b', 'a', 'l', 'l', 'a', 's', 't'}), size)
}

// Release lets the space go; false: none was held.
func (b *Ballast) Release() (bool, error) {
	err := os.Remove(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
