package proof

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const attackers = 64

// TestAttackers has 64 strangers, each at an address of its own, do what they can, while somebody honest asks as before. They take processors of this
// same host: so the time is compared with that under an attack on a neighbour, which takes as much of those. Others may want them too, at any time: what
// is so three times in a row is not because of them.
func TestAttackers(t *testing.T) {
	l := begin(t, "attackers")
	bin, attack := build(t), time.Duration(l.size(3, 20))*time.Second
	s, neighbour := newStage(t, bin), newRig(t, bin, scaled, time.Second)
	calm := newHonest(s)
	time.Sleep(time.Second) // for as long is measured
	idle := calm.end(t)
	var beside, during time.Duration
	var grown int64
	var tries string
	for try := 0; try < 3 && (try == 0 || during > 2*beside+slack); try++ {
		beside, _, _ = s.attacked(l, neighbour, attack)
		var more int64
		during, more, tries = s.attacked(l, s.rig, attack)
		grown = max(grown, more)
	}
	l.report("attackers", attackers, "attacks", tries, "honest_p99_ms_idle", ms(idle), "honest_p99_ms_neighbour_attacked", ms(beside), "honest_p99_ms_attacked", ms(during), "main_grew_kib", grown>>10)
	if lives := s.main.count(); lives != 1 {
		t.Errorf("the main node had %d lives", lives)
	}
	if grown > 32<<20 {
		t.Errorf("the main node grew by %d KiB", grown>>10)
	}
	if during > 2*beside+slack {
		t.Errorf("somebody honest waited %s ms (99th percentile), and %s while a neighbour was attacked", ms(during), ms(beside))
	}
}

// attacked has a main node attacked from another process, and says how long somebody honest waited meanwhile, by how many bytes that main node
// grew, and how many attacks there were.
func (s *stage) attacked(l *lane, victim *rig, attack time.Duration) (p99 time.Duration, grown int64, tries string) {
	cmd := exec.CommandContext(s.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %s", attackPlan, victim.options.Main, victim.options.Pin, l.seed, attack))
	var out bytes.Buffer
	cmd.Stdout = &out
	before := victim.main.memory()
	most := before
	honest := newHonest(s)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				s.t.Fatal(err)
			}
			return honest.end(s.t), most - before, strings.TrimSpace(out.String())
		case <-time.After(20 * time.Millisecond):
			most = max(most, victim.main.memory())
		}
	}
}

// slack is what a busy machine may add.
const slack = 10 * time.Millisecond

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }

// attackPlan is the variable that makes this program one that attacks: the main node's address and fingerprint, a seed, and for how long.
const attackPlan = "RC_PROOF_ATTACK"

// attackAll attacks, and prints how often.
func attackAll(plan string) {
	var address, pin, length string
	var seed uint64
	if _, err := fmt.Sscan(plan, &address, &pin, &seed, &length); err != nil {
		panic(err)
	}
	attack, err := time.ParseDuration(length)
	if err != nil {
		panic(err)
	}
	var group sync.WaitGroup
	var tries atomic.Int64
	until := time.Now().Add(attack)
	for i := range attackers {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for time.Now().Before(until) {
				attackOnce(address, pin, i, rng)
				tries.Add(1)
			}
		})
	}
	group.Wait()
	fmt.Println(tries.Load())
}

// attackOnce is one thing that a stranger does.
func attackOnce(address, pin string, who int, rng *rand.Rand) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 99, 0, byte(who))}, Timeout: time.Second}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	kind := rng.IntN(6)
	if kind == 0 { // nothing, for a while
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		return
	}
	if kind == 1 { // noise
		noise := make([]byte, 1+rng.IntN(4096))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		c.Write(noise)
		io.Copy(io.Discard, c)
		return
	}
	secure := tls.Client(c, wire.ClientTLS(nil, pin))
	if secure.Handshake() != nil {
		return
	}
	switch kind {
	case 2: // what is too long
		line := make([]byte, 32<<10)
		for i := range line {
			line[i] = '['
		}
		secure.Write(line)
	case 3: // what is too deep
		fmt.Fprintf(secure, "{\"message_type\":\"hello\",\"data\":%s\n", string(make([]byte, rng.IntN(1000))))
	case 4: // a guess
		fmt.Fprintf(secure, `{"message_type":"hello","message_id":"1","data":{"protocol":{"min":1,"max":1},"token":"rca1_aaaaaaaaaa_%026d"}}`+"\n", rng.IntN(1000))
	case 5: // a byte at a time
		for _, b := range []byte(`{"message_type":"hello"`) {
			secure.Write([]byte{b})
			time.Sleep(2 * time.Millisecond)
		}
	}
	io.Copy(io.Discard, secure)
}
