//go:build linux && cgo

package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// op is a line of a trace: what disk.c says of a call, or the writer of a step.
type op struct {
	kind string // open, write, truncate, sync, unlink; begin, done
	file string // "." is the folder
	at   int64  // offset of a write, size after a truncate, number of a step
	sum  int64  // digest of the database after a step
	data []byte // of a write
}

// readTrace reads a trace.
func readTrace(path string) (ops []op, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return ops, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var o op
		if _, err := fmt.Sscanf(line, "%s %s %d %d\n", &o.kind, &o.file, &o.at, &o.sum); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", path, line, err)
		}
		if o.kind == "write" {
			o.data = make([]byte, o.sum+1)
			if _, err := io.ReadFull(r, o.data); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			o.data = o.data[:o.sum]
		}
		if !strings.HasSuffix(o.file, "-shm") { // memory that happens to have a name: SQLite makes it anew
			ops = append(ops, o)
		}
	}
}
