package testscripts

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// sleeper stands for the network card of a device that sleeps: it starts the worker when it hears a magic packet.
type sleeper struct {
	conn    net.PacketConn
	packets atomic.Int64
	sleeps  atomic.Pointer[daemon] // nil: it does not listen for anybody
}

// cmdSleeper is the command sleeper.
func cmdSleeper(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value(clusterKey{}).(*cluster)
	switch {
	case !neg && len(args) == 1 && args[0] == "listen":
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		ts.Check(err)
		s := &sleeper{conn: conn}
		c.sleeper = s
		go s.listen()
		ts.Defer(func() { conn.Close() })
		ts.Setenv("WAKE", conn.LocalAddr().String())
	case !neg && len(args) == 2 && args[0] == "put":
		c.sleeper.sleeps.Store(c.daemons[args[1]])
	case !neg && len(args) == 1 && args[0] == "packets":
		fmt.Fprintln(ts.Stdout(), c.sleeper.packets.Load())
	default:
		ts.Fatalf("usage: sleeper listen|put name|packets")
	}
}

func (s *sleeper) listen() {
	packet := make([]byte, 200)
	for {
		n, _, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		mac := []byte{2, 0, 0, 0, 0, 7}
		if n != 102 || !bytes.Equal(packet[:n], append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)) {
			continue
		}
		s.packets.Add(1)
		if d := s.sleeps.Swap(nil); d != nil {
			d.wake()
		}
	}
}

// wake starts a daemon again as it was, for who is not the script.
func (d *daemon) wake() {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer log.Close()
	old := d.cmd
	cmd := exec.Command(old.Path, d.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = old.Dir, old.Env, log, log
	if cmd.Start() != nil {
		return
	}
	d.cmd, d.asked, d.gone = cmd, false, make(chan struct{})
	go func(gone chan struct{}) {
		d.err = cmd.Wait()
		close(gone)
	}(d.gone)
}
