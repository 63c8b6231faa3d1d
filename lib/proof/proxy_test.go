package proof

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is the network between one worker and the main node, with its faults. A worker knows the main node's own address too, from its
// welcome, but tries it only where a TLS handshake with this one fails or takes ten seconds. So the proxy never refuses: it lets who
// connects wait until it can, for less than that, and resets no connection before its handshake is done. strays tells who went by all the same.
type proxy struct {
	t        *testing.T
	listener net.Listener
	target   string
	wg       sync.WaitGroup
	carried  [2]atomic.Int64 // bytes down and up, ever

	mu      sync.Mutex
	weather weather
	changed chan struct{} // closed when the weather changes
	pairs   map[*pair]struct{}
	closed  bool
}

// weather is how the network is.
type weather struct {
	up, down bool // what is sent to the main node, and by it, does not arrive; it is kept, as TCP sends it again until the network is back
	slice    int  // most bytes at once; 0: any number
	pace     int  // bytes a second; 0: as fast as it goes
	latency  time.Duration
	tear     int // reset the connection after so many more bytes, in the middle of a frame
}

// pair is a connection through the proxy.
type pair struct {
	p    *proxy
	a, b *net.TCPConn // of the worker, and to the main node; b is nil while the network is down

	mu       sync.Mutex
	tear     int // bytes left before it is reset
	tearing  bool
	answered bool // by the main node
	replied  int  // bytes of the worker since then
}

// handshaken is more than what a worker says between the main node's first word and its own second flight, which ends the handshake.
const handshaken = 64

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: l, target: target, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	t.Cleanup(p.close)
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c.(*net.TCPConn)) })
		}
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.set(weather{})
	p.reset()
	p.wg.Wait()
}

// set changes the weather.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
	for k := range p.pairs {
		k.mu.Lock()
		k.tear, k.tearing = w.tear, w.tear > 0 && k.replied > handshaken
		k.mu.Unlock()
	}
}

// reset cuts every connection with an RST.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.pairs {
		if k.settled() || p.closed {
			k.reset()
		}
	}
}

// settled says whether the handshake is done.
func (k *pair) settled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.replied > handshaken
}

// passed notes what went through.
func (k *pair) passed(up bool, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !up {
		k.answered = true
	} else if k.answered {
		k.replied += n
	}
}

func (k *pair) reset() {
	for _, c := range []*net.TCPConn{k.a, k.b} {
		if c != nil {
			c.SetLinger(0)
			c.Close()
		}
	}
}

// now is the weather, and what is closed when it changes.
func (p *proxy) now() (weather, <-chan struct{}, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed, p.closed
}

// hear waits until a direction is open; false: the proxy is closed.
func (p *proxy) hear(deaf func(w *weather) bool) bool {
	for {
		w, changed, closed := p.now()
		if closed {
			return false
		}
		if !deaf(&w) {
			return true
		}
		<-changed
	}
}

func upward(w *weather) bool   { return w.up }
func downward(w *weather) bool { return w.down }

func direction(up bool) func(w *weather) bool {
	if up {
		return upward
	}
	return downward
}

// serve serves a connection. While the network is down its beginning waits too.
func (p *proxy) serve(a *net.TCPConn) {
	k := &pair{p: p, a: a}
	p.mu.Lock()
	p.pairs[k] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, k)
		p.mu.Unlock()
	}()
	defer a.Close()
	if !p.hear(upward) || !p.hear(downward) {
		return
	}
	b := p.dial()
	if b == nil {
		return
	}
	defer b.Close()
	p.mu.Lock()
	k.b = b
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { k.pump(b, a, true) })
	both.Go(func() { k.pump(a, b, false) })
	both.Wait()
}

// dial connects to the main node, as soon as it is there.
func (p *proxy) dial() *net.TCPConn {
	for {
		if b, err := net.Dial("tcp", p.target); err == nil {
			return b.(*net.TCPConn)
		}
		if _, _, closed := p.now(); closed {
			return nil
		}
		<-time.After(10 * time.Millisecond)
	}
}

// parcel is what was read together, and when it is due.
type parcel struct {
	data []byte
	due  time.Time
}

// pump carries what comes from one side to the other, through the weather. The end of a side is carried like its bytes.
func (k *pair) pump(to, from *net.TCPConn, up bool) {
	parcels := make(chan parcel, 1024)
	go func() {
		defer close(parcels)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			w, _, _ := k.p.now()
			if n > 0 {
				parcels <- parcel{buffer[:n], time.Now().Add(w.latency)}
			}
			if err != nil {
				return
			}
		}
	}()
	ok := true
	for c := range parcels {
		if ok {
			<-time.After(time.Until(c.due))
			ok = k.carry(to, c.data, up)
		}
	}
	if k.p.hear(direction(up)) {
		to.CloseWrite()
	}
}

// carry writes data in the pieces and at the pace of the weather.
func (k *pair) carry(to *net.TCPConn, data []byte, up bool) bool {
	for len(data) > 0 {
		if !k.p.hear(direction(up)) {
			return false
		}
		w, _, _ := k.p.now()
		n := len(data)
		if w.slice > 0 {
			n = min(n, w.slice)
		}
		if w.pace > 0 {
			n = min(n, max(w.pace/20, 1))
		}
		n, torn := k.torn(n)
		if _, err := to.Write(data[:n]); err != nil {
			k.a.Close() // the other side hears of it
			return false
		}
		k.passed(up, n)
		k.p.carried[map[bool]int{true: 1}[up]].Add(int64(n))
		if torn {
			k.reset()
			return false
		}
		if data = data[n:]; w.pace > 0 {
			<-time.After(time.Duration(n) * time.Second / time.Duration(w.pace))
		}
	}
	return true
}

// torn says how much of n bytes may pass, and whether that is all before the connection is reset.
func (k *pair) torn(n int) (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.tearing {
		return n, false
	}
	n = min(n, k.tear)
	k.tear -= n
	return n, k.tear == 0
}

// fault is a way in which a network fails, for a while.
type fault struct {
	name string
	// strike begins it. silences says that the main node hears nothing as long as it lasts.
	strike   func(p *proxy, rng *rand.Rand)
	silences bool
}

// faults are what the network lane does to workers. Times are scaled 1:100 like the lease.
var faults = []fault{
	{"cut", func(p *proxy, _ *rand.Rand) { p.set(weather{up: true, down: true}); p.reset() }, true},
	{"half_open", func(p *proxy, _ *rand.Rand) { p.set(weather{up: true, down: true}) }, true},
	{"deaf_main", func(p *proxy, _ *rand.Rand) { p.set(weather{up: true}) }, true},
	{"deaf_worker", func(p *proxy, _ *rand.Rand) { p.set(weather{down: true}) }, false},
	{"latency", func(p *proxy, rng *rand.Rand) {
		p.set(weather{latency: between(rng, 5*time.Millisecond, 500*time.Millisecond)})
	}, false},
	{"slow", func(p *proxy, _ *rand.Rand) { p.set(weather{pace: 2 << 10}) }, false},
	{"slices", func(p *proxy, _ *rand.Rand) { p.set(weather{slice: 1}) }, false},
	{"tear", func(p *proxy, rng *rand.Rand) { p.set(weather{tear: 1 + rng.IntN(400)}) }, false},
	{"reset", func(p *proxy, _ *rand.Rand) { p.reset() }, false},
}
