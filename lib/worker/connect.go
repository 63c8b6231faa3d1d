package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// connect keeps a connection to the main node, for as long as ctx lasts.
func (w *Worker) connect(ctx context.Context, boot int64, refused chan<- error) {
	wait := newBackoff()
	session, quiet := int64(0), false
	for ctx.Err() == nil {
		session++
		began := time.Now()
		l, err := w.hello(ctx, boot, session)
		if err == nil {
			quiet = false
			w.o.Log.Info("connected", "main_node", l.address, "device", l.welcome.DeviceID)
			w.speak(ctx, l)
			wait.connected(l.welcome.Lease, time.Since(began))
			err = errors.New("the connection was lost")
		}
		var e *wire.Error
		if errors.As(err, &e) && e.Code == "E_STALE_SESSION" { // a restored disk: go on from what the main node has seen
			if boot, err = w.home.booted(e.BootCount + 1); err == nil {
				session, err = 0, e
			}
		}
		if (errors.Is(err, wire.ErrAuth) || errors.Is(err, wire.ErrRevoked)) && e != nil { // removed, or never joined: waiting does not help
			refused <- fmt.Errorf("hello: %w", err)
			return
		}
		pause := wait.next(err)
		if ctx.Err() == nil {
			logRefusal(w.o.Log, err, pause, !quiet || errors.Is(err, wire.ErrTwoMachines))
		}
		quiet = true
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// hello connects and is Welcomed.
func (w *Worker) hello(ctx context.Context, boot, session int64) (*link, error) {
	conn, address, err := w.reach(ctx, w.home.addresses(w.o.Env))
	if err != nil {
		return nil, err
	}
	h := helloAsk{make(chan []wire.Held, 1)}
	select {
	case w.helloNow <- h:
	case <-ctx.Done():
		conn.Close()
		return nil, ctx.Err()
	}
	var welcome wire.Welcome
	asked := clock()
	err = ask(conn, wire.TypeHello, wire.Hello{Protocol: wire.Spoken, Software: w.o.Software, BootCount: boot, Session: session, Life: w.life, Held: <-h.answer}, &welcome)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := w.home.learn(address, welcome.Addresses); err != nil {
		w.o.Log.Warn("cannot remember the main node's addresses", "err", err)
	}
	if err := w.home.pin(welcome.Fingerprint); err != nil {
		w.o.Log.Warn("cannot keep the main node's new fingerprint", "err", err)
	}
	return newLink(conn, address, welcome, asked), nil
}

// speak hands what the main node says to the loop until the connection ends.
func (w *Worker) speak(ctx context.Context, l *link) {
	var writer sync.WaitGroup
	writer.Go(func() {
		l.write(func(bytes int64) { w.in <- fromLink{l, Written{bytes}} })
	})
	w.in <- l
	defer context.AfterFunc(ctx, l.goodbye)()
	silence := deadAfter(l.welcome.Heartbeat)
	for {
		l.conn.SetReadDeadline(time.Now().Add(silence))
		m, err := l.conn.ReadMessage()
		if err != nil {
			break
		}
		if m.Type == wire.TypePin {
			w.repin(&m)
			continue
		}
		w.in <- fromLink{l, Received{m}}
	}
	l.close()
	w.in <- gone{l}
	writer.Wait()
}

// repin takes what the main node, which is known to be it, says of its key.
func (w *Worker) repin(m *wire.Message) {
	var p wire.Pin
	if err := m.Decode(&p); err != nil {
		return
	}
	if err := w.home.pin(p.Fingerprint); err != nil {
		w.o.Log.Error("cannot keep the main node's new fingerprint; it is told again at the next connection", "err", err)
	}
}

// deadAfter is how long a main node may say nothing before the connection is given up: it answers every heartbeat.
func deadAfter(heartbeat float64) time.Duration {
	return max(time.Duration(heartbeat*1.5*float64(time.Second)), time.Second)
}
