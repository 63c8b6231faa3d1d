package worker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func TestBackoffGrowsAndIsJittered(t *testing.T) {
	b := newBackoff()
	lost := errors.New("connection refused")
	for n := range 20 {
		ceiling := min(20*time.Second, 500*time.Millisecond<<min(n, 10)) + 10*time.Millisecond
		if d := b.next(lost); d <= 0 || d > ceiling {
			t.Errorf("wait %d: %s, at most %s", n, d, ceiling)
		}
	}
	seen := map[time.Duration]bool{}
	for range 20 {
		seen[b.next(lost)] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d different waits: many devices would come back at once", len(seen))
	}
	b.connected(450, 50*time.Second)
	if b.failures == 0 {
		t.Error("a short connection made good for all failures")
	}
	b.connected(450, time.Minute)
	if d := b.next(lost); d > 510*time.Millisecond {
		t.Errorf("after a good connection: %s", d)
	}
	b.connected(4.5, 0)
	for range 20 {
		if d := b.next(lost); d > 210*time.Millisecond {
			t.Errorf("with a lease of 4.5 s it waits %s", d)
		}
	}
	for _, code := range []string{"E_AUTH", "E_PROTO"} {
		if d := b.next(&wire.Error{Code: code}); d < refusedMin {
			t.Errorf("%s is tried again after %s", code, d)
		}
	}
	if d := b.next(&wire.Error{Code: "E_SHUTDOWN", RetryAfter: 1500}); d != 1500*time.Millisecond {
		t.Errorf("asked to wait 1.5 s, waits %s", d)
	}
}

// pipe is a link to somebody that does what peer says.
func pipe(peer func(*wire.Conn)) *link {
	a, b := net.Pipe()
	go peer(wire.NewConn(b))
	return newLink(wire.NewConn(a), "test", wire.Welcome{Heartbeat: 60}, time.Now())
}

// A worker that ends says so once, also on a connection that its loop has not seen any more: otherwise it would be waited for until its lease ends.
func TestLinkSaysGoodbyeOnce(t *testing.T) {
	for _, said := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var got []string
			l := pipe(func(c *wire.Conn) {
				for m, err := c.ReadMessage(); err == nil; m, err = c.ReadMessage() {
					got = append(got, m.Type)
				}
			})
			if said {
				l.put(wire.Message{Type: wire.TypeBye}, 0)
			}
			l.goodbye()
			l.goodbye()
			l.write(func(int64) {})
			synctest.Wait()
			if !reflect.DeepEqual(got, []string{wire.TypeBye}) {
				t.Errorf("said before: %t; it sent %q", said, got)
			}
		})
	}
}

func TestLinkSendsInOrderAndEndsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 10)
		l := pipe(func(c *wire.Conn) {
			defer close(got)
			for {
				m, err := c.ReadMessage()
				if err != nil {
					return
				}
				got <- m.Type
			}
		})
		for _, s := range []string{"one", "two", "three"} {
			l.put(wire.Message{Type: s}, 5)
		}
		l.close() // what is queued leaves all the same
		var taken int64
		l.write(func(n int64) { taken += n })
		var all []string
		for s := range got {
			all = append(all, s)
		}
		if want := []string{"one", "two", "three"}; !reflect.DeepEqual(all, want) || taken != 15 {
			t.Errorf("%v, %d bytes taken", all, taken)
		}
	})
}

func TestLinkGivesUpOnWhoTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipe(func(*wire.Conn) {}) // never reads
		l.put(wire.Message{Type: "x"}, 0)
		began := time.Now()
		l.write(func(int64) {})
		if d := time.Since(began); d != writeTime {
			t.Errorf("gave up after %s", d)
		}
	})
}

// A main node that says nothing any more, not even to a heartbeat, is left after 90 seconds; running attempts are not.
func TestSilentMainNodeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Worker{in: make(chan any, 16), o: Options{Log: slog.New(slog.DiscardHandler)}}
		l := pipe(func(c *wire.Conn) {
			for { // reads, and never answers
				if _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		})
		began := time.Now()
		w.speak(context.Background(), l)
		if d := time.Since(began); d != 90*time.Second {
			t.Errorf("left after %s", d)
		}
		if first := <-w.in; first != any(l) {
			t.Errorf("first %T", first)
		}
		if last, ok := (<-w.in).(gone); !ok || last.link != l {
			t.Errorf("last %T", last)
		}
	})
}

func TestHomeRemembers(t *testing.T) {
	dir := t.TempDir()
	h, err := openHome(dir)
	if err != nil || h.joined() {
		t.Fatal(err)
	}
	h.member = membership{DeviceID: "pi", Fingerprint: "f", Addresses: []string{"a:1"}}
	first, err := h.booted(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.learn("b:2", []string{"a:1", "nonsense", "b:2", "c:3"}); err != nil {
		t.Fatal(err)
	}
	key := h.identity.Fingerprint()
	if _, err := openHome(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("a second worker on it: %v", err)
	}
	h.lock.Close()
	if h, err = openHome(dir); err != nil {
		t.Fatal(err)
	}
	if !h.joined() || h.identity.Fingerprint() != key || !reflect.DeepEqual(h.member.Addresses, []string{"b:2", "a:1", "c:3"}) {
		t.Errorf("%+v", h.member)
	}
	if second, err := h.booted(0); err != nil || second != first+1 {
		t.Errorf("boot %d after %d, %v", second, first, err)
	}
	if jumped, err := h.booted(100); err != nil || jumped != 100 {
		t.Errorf("boot %d, %v", jumped, err)
	}
	h.lock.Close()
	for _, name := range []string{fileIdentity, fileMembership} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, fileMembership), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(dir); err == nil {
		t.Error("a damaged file was taken for a new device")
	}
}
