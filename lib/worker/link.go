package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Times of the connection.
const (
	dialTime    = 10 * time.Second
	welcomeTime = 30 * time.Second
	writeTime   = 45 * time.Second // for the other side to take what is sent
	refusedMin  = 5 * time.Minute  // after a refusal that will not change by itself
)

// link is one connection to the main node, Welcomed.
type link struct {
	conn    *wire.Conn
	welcome wire.Welcome
	asked   time.Time // when hello was sent, by clock
	address string

	mu      sync.Mutex
	waiting []wire.Message
	bytes   int64 // of output among waiting
	bye     bool  // it was said, or is among waiting
	closed  bool
	filled  sync.Cond
}

// dial connects to the first address that answers, and speaks TLS with the main node that has the fingerprint.
func dial(ctx context.Context, identity *wire.Identity, pin string, addresses []string) (conn *wire.Conn, address string, err error) {
	var errs []error
	for _, a := range addresses {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}, Config: wire.ClientTLS(identity, pin)}
		limited, cancel := context.WithTimeout(ctx, dialTime)
		c, err := d.DialContext(limited, "tcp", a)
		cancel()
		if err == nil {
			return wire.NewConn(c), a, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("no address of it is known"))
	}
	return nil, "", &unreachable{errs}
}

// unreachable says why no address of the main node could be connected to.
type unreachable struct{ errs []error }

func (e *unreachable) Error() string {
	s := "connect to the main node"
	for i, err := range e.errs {
		s += []string{": ", "; "}[min(i, 1)] + strings.TrimPrefix(err.Error(), "dial tcp ")
	}
	return s
}

func (e *unreachable) Unwrap() []error { return e.errs }

// ExitStatus is that of a service that is not available.
func (e *unreachable) ExitStatus() int { return 69 }

// ask sends the first message of a connection and reads its answer. An error of the main node comes back as *wire.Error.
func ask(conn *wire.Conn, messageType string, body, answer any) error {
	conn.SetDeadline(time.Now().Add(welcomeTime))
	defer conn.SetDeadline(time.Time{})
	if err := conn.WriteMessages(wire.Message{Type: messageType, ID: "hello", Body: body}); err != nil {
		return fmt.Errorf("%s: %w", messageType, err)
	}
	conn.SetLimit(wire.MaxMessage)
	m, err := conn.ReadMessage()
	if err != nil {
		return fmt.Errorf("%s: %w", messageType, err)
	}
	if m.Type == wire.TypeError {
		e := new(wire.Error)
		if err := m.Decode(e); err != nil {
			return err
		}
		return e
	}
	return m.Decode(answer)
}

func newLink(conn *wire.Conn, address string, w wire.Welcome, asked time.Time) *link {
	l := &link{conn: conn, address: address, welcome: w, asked: asked}
	l.filled.L = &l.mu
	return l
}

// put queues a message; output is how many bytes of output are in it.
func (l *link) put(m wire.Message, output int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.waiting = append(l.waiting, m)
	l.bytes += output
	l.bye = l.bye || m.Type == wire.TypeBye
	l.filled.Signal()
}

// write sends what is queued until the link is closed; taken hears how much output the connection took.
func (l *link) write(taken func(int64)) {
	defer l.conn.Close()
	for {
		l.mu.Lock()
		for len(l.waiting) == 0 && !l.closed {
			l.filled.Wait()
		}
		ms, bytes, closed := l.waiting, l.bytes, l.closed
		l.waiting, l.bytes = nil, 0
		l.mu.Unlock()
		if len(ms) > 0 {
			l.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if err := l.conn.WriteMessages(ms...); err != nil {
				l.close()
				return
			}
			if bytes > 0 {
				taken(bytes)
			}
		}
		if closed {
			return
		}
	}
}

// goodbye ends the link of a worker that ends. The loop says goodbye itself, but not on a link that had come up just before its end, and that it never saw.
func (l *link) goodbye() {
	l.mu.Lock()
	said := l.bye
	l.mu.Unlock()
	if !said {
		l.put(wire.Message{Type: wire.TypeBye, Sender: l.welcome.DeviceID}, 0)
	}
	l.close()
}

// close ends the link after what is queued was sent.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.filled.Signal()
}

// backoff waits longer after each failure, and each time a random part of that, so that many devices do not come back at once. All of its times
// are parts of the lease, so that a main node that is back has its attempts back before their leases end.
type backoff struct {
	lease    time.Duration // of the last welcome
	failures int
}

func newBackoff() *backoff { return &backoff{lease: usualLease} }

func (b *backoff) least() time.Duration { return b.lease / 900 }    // 500 ms of the usual
func (b *backoff) most() time.Duration  { return b.lease * 2 / 45 } // 20 s of the usual

// connected notes a connection that was good for a while: it makes good for the failures before it, if it was long enough.
func (b *backoff) connected(lease float64, lasted time.Duration) {
	if lease > 0 {
		b.lease = time.Duration(lease * float64(time.Second))
	}
	if lasted > b.lease/8 {
		b.failures = 0
	}
}

func (b *backoff) next(err error) time.Duration {
	var refused *wire.Error
	if errors.As(err, &refused) {
		if wait := refused.Wait(); wait > 0 {
			return wait
		}
		if errors.Is(err, wire.ErrAuth) || errors.Is(err, wire.ErrProto) || errors.Is(err, wire.ErrForbidden) {
			return refusedMin + rand.N(refusedMin)
		}
	}
	ceiling := min(b.most(), b.least()<<min(b.failures, 10))
	b.failures++
	return rand.N(ceiling) + 10*time.Millisecond
}

// logRefusal says why there is no connection, loudly only when it is new.
func logRefusal(log *slog.Logger, err error, wait time.Duration, first bool) {
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "no connection to the main node; running tasks go on", "err", err, "again_in", wait.Round(time.Millisecond).String())
}
