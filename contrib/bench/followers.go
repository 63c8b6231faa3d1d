package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const streams = 100 // that are read at the same time

// rowFollowers measures what it costs that people look on.
func rowFollowers(r *run) error {
	n := r.size(5_000, 300)
	c, numbers, err := r.rigAndNumbers(n)
	if err != nil {
		return err
	}
	web, err := r.web(c.mainNode)
	if err != nil {
		return err
	}
	work := func() (float64, error) {
		t, err := r.each(c.mainNode, n, numbers, "--", "true", "{}")
		return t.rate(n), err
	}
	for _, kind := range []struct{ path, what string }{
		{"/stream/devices", "as open dashboards read them"},
		{"/stream/logs?n=0", "of all events"},
	} {
		watched, alone, err := r.pairs(func() (float64, error) { return r.watched(c.mainNode, web, kind.path, int64(n), work) }, work)
		if err != nil {
			return err
		}
		fall := both(watched, alone, func(a, b float64) float64 { return 100 * (1 - a/b) })
		r.atMost(fmt.Sprintf("a follower and %d streams %s: falls by", streams, kind.what), fall.figure(), "%", 10)
		r.tell("— with them", watched.figure(), "/s")
		r.tell("— without", alone.figure(), "/s")
	}
	return nil
}

// web starts rc-web and returns its address.
func (r *run) web(m *mainNode) (string, error) {
	file := r.path("web.address")
	if _, err := r.daemon("web", nil, filepath.Join(r.set.bin, "rc-web"), "--listen=127.0.0.1:0", "--addr-file="+file, "--data="+m.data, "--web-data="+m.data+"-web"); err != nil {
		return "", err
	}
	var address string
	err := r.until("rc-web to listen", func() bool {
		b, _ := os.ReadFile(file)
		address = strings.TrimSpace(string(b))
		return address != ""
	})
	return address, err
}

// watched measures work while one follows all events and many read streams. The follower must hear of every end, and no stream may break.
func (r *run) watched(m *mainNode, web, path string, tasks int64, work func() (float64, error)) (float64, error) {
	ctx, cancel := context.WithCancel(r.ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	status, err := m.client.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask %s how it is: %w", m.name, err)
	}
	var ended, lost atomic.Int64
	group.Go(func() {
		for e, err := range m.client.Events(ctx, wire.FollowEvents{After: status.LastEvent, Follow: true}) {
			if err != nil {
				return
			}
			if e.Kind == cluster.TaskEnded {
				ended.Add(1)
			}
		}
	})
	for range streams {
		conn, err := openStream(ctx, web, path)
		if err != nil {
			return 0, fmt.Errorf("read %s of rc-web: %w", path, err)
		}
		group.Go(func() {
			if io.Copy(io.Discard, conn); ctx.Err() == nil {
				lost.Add(1)
			}
		})
	}
	v, err := work()
	if err == nil && lost.Load() > 0 {
		err = fmt.Errorf("read %s of rc-web: %d of %d streams ended", path, lost.Load(), streams)
	}
	if err != nil {
		return 0, err
	}
	return v, r.until("the follower to hear of all ends", func() bool { return ended.Load() == tasks })
}

// openStream asks for a stream and reads up to its first line. The connection ends with ctx.
func openStream(ctx context.Context, address, path string) (io.Reader, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(conn)
	first, err := lines.ReadString('\n')
	if err == nil && !strings.Contains(first, " 200 ") {
		err = fmt.Errorf("it answers %q", strings.TrimSpace(first))
	}
	return lines, err
}
