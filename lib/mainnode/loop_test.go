package mainnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// inBubble runs a loop over a real store in a bubble whose clock jumps to the next thing that is due.
func inBubble(t *testing.T, f func(t *testing.T, n *Node)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n, err := Open(ctx, dir, "rc-mained test", Defaults(), slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := n.loop.run(ctx); err != nil {
				t.Error(err)
			}
		})
		f(t, n)
		cancel()
		running.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

// asDevice joins and welcomes a device without a connection: what it does not say is silence.
func asDevice(t *testing.T, n *Node, name string) {
	t.Helper()
	err := n.loop.ask(t.Context(), func(c *Core) {
		d := newMachine(store.Device{ID: name, Fingerprint: name, Joined: c.now}, c.now)
		c.devices[name], c.byKey[name] = d, d
		if err := c.helloWorker(&Input{Session: 1, Fingerprint: name}, 1, &wire.Hello{BootCount: 1, Session: 1}); err != nil {
			t.Error(err)
		}
		c.register(d.session, &device.Profile{Slots: 1, TaskTypes: []string{task.TypeEcho}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSilenceInRealTime(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		asDevice(t, n, "pi")
		began := time.Now()
		var reply any
		n.loop.ask(t.Context(), func(c *Core) {
			c.sessions[2] = &session{id: 2, role: wire.RoleAdmin, principal: "t"}
			reply, _ = c.submit(c.sessions[2], &wire.Submit{Tasks: []task.Spec{{Type: task.TypeEcho}}})
		})
		id := reply.(wire.Submitted).Tasks[0]
		// Events tell when people were told, and when the task was given up.
		var offline, requeued time.Duration
		_, err := n.followEvents(t.Context(), &wire.FollowEvents{Follow: true}, "", func(_ string, body any) error {
			switch e := body.(wire.Event); e.Kind {
			case cluster.DeviceOffline:
				offline = time.Since(began)
			case cluster.TaskRequeued:
				requeued = time.Since(began)
				if e.Task != id {
					t.Errorf("requeued %s", e.Task)
				}
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Error(err)
		}
		if offline < 300*time.Second || offline > 302*time.Second {
			t.Errorf("offline after %s", offline)
		}
		if requeued < 450*time.Second || requeued > 452*time.Second {
			t.Errorf("given up after %s", requeued)
		}
	})
}

var errEnough = errors.New("seen enough")

// Whoever follows sees every event once and in order, however many there are and however slow they read.
func TestFollowersMissNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, n *Node) {
		const many = 3*keepRecent + 17
		var followers sync.WaitGroup
		for _, pause := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			followers.Go(func() {
				last := int64(0)
				_, err := n.followEvents(t.Context(), &wire.FollowEvents{Follow: true}, "", func(_ string, body any) error {
					e := body.(wire.Event)
					if e.Seq != last+1 {
						return fmt.Errorf("after event %d came %d", last, e.Seq)
					}
					if last = e.Seq; last%1000 == 0 {
						time.Sleep(pause)
					}
					if e.Count == many {
						return errEnough
					}
					return nil
				})
				if !errors.Is(err, errEnough) {
					t.Errorf("reading with pauses of %s: %v", pause, err)
				}
			})
		}
		for made := 0; made < many; {
			n.loop.ask(t.Context(), func(c *Core) {
				for range 500 {
					if made++; made <= many {
						c.event(cluster.Event{Kind: cluster.JobSubmitted, Count: made})
					}
				}
			})
		}
		followers.Wait()
	})
}

func TestOutboxCutsOffWhoDoesNotRead(t *testing.T) {
	var o outbox
	o.init()
	for range maxWaiting + 1 {
		o.put(wire.Message{Type: wire.TypeEvent})
	}
	if ms, ok := o.take(); ok || len(ms) != 0 {
		t.Errorf("%d messages, open %v", len(ms), ok)
	}
	if o.stream(wire.Message{}) {
		t.Error("one more was taken")
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Node, error) {
		return Open(context.Background(), dir, "rc-mained test", Defaults(), slog.New(slog.DiscardHandler), nil)
	}
	n, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second main node: %v", err)
	}
	first, token := n.Fingerprint(), readLocal(t, dir).Token
	n.Close()
	if n, err = open(); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Fingerprint() != first || readLocal(t, dir).Token != token {
		t.Error("a restart changed who the main node is, or its token")
	}
}

func readLocal(t *testing.T, dir string) wire.Local {
	t.Helper()
	l, err := wire.ReadLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// near is a connection whose other side is on this host.
type near struct{ net.Conn }

func (near) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestStrangersTime: who says nothing, or half a message, is let go after a while, and who has begun with TLS a little later.
func TestStrangersTime(t *testing.T) {
	for say, want := range map[string]time.Duration{"": 5 * time.Second, `{"message_type":`: 5 * time.Second, "\x16\x03\x01": 10 * time.Second} {
		inBubble(t, func(t *testing.T, n *Node) {
			n.plainFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			ours, theirs := net.Pipe()
			began := time.Now()
			var served sync.WaitGroup
			served.Go(func() { n.serve(t.Context(), near{ours}) })
			if _, err := io.WriteString(theirs, say); err != nil {
				t.Error(err)
			}
			answer, _ := io.ReadAll(theirs) // until it is closed
			if took := time.Since(began); took < want || took > want+2*lingerTime {
				t.Errorf("%q: it is waited for %s, not %s", say, took, want)
			}
			if strings.Contains(string(answer), "no whole message came in time") != (say == `{"message_type":`) {
				t.Errorf("%q: %q", say, answer)
			}
			served.Wait()
		})
	}
}
