package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// simulated is a device that speaks the protocol as a worker does, and answers every assignment at once.
type simulated struct {
	fleet    *fleet
	name     string
	identity *wire.Identity
	source   net.IP // loopback address that it connects from
	session  int64
	life     string

	mu     sync.Mutex // held to write
	conn   *wire.Conn // nil: none
	seen   int64      // number of the last assignment read on conn
	status device.Status
	beat   *time.Timer
}

// Ids of messages that a simulated device sends; the answers tell by them what they answer.
const (
	idHello    = "hello"
	idRegister = "register"
	idBeat     = "beat"
	idShut     = "shut" // a heartbeat that closes the gate
	idResult   = "result"
)

const dialTime = 10 * time.Second // for connection, TLS and welcome, as a worker has it

// dial opens a connection with TLS.
func (d *simulated) dial(ctx context.Context) (*wire.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: d.source}}, Config: wire.ClientTLS(d.identity, d.fleet.main.local.Fingerprint)}
	raw, err := dialer.DialContext(ctx, "tcp", d.fleet.main.local.Address)
	if err != nil {
		return nil, err
	}
	raw.SetDeadline(time.Now().Add(dialTime))
	return wire.NewConn(raw), nil
}

// ask sends the first message of a connection and reads its answer.
func ask(conn *wire.Conn, kind string, body, answer any) error {
	if err := conn.WriteMessages(wire.Message{Type: kind, ID: idHello, Body: body}); err != nil {
		return err
	}
	m, err := conn.ReadMessage()
	if err != nil {
		return err
	}
	if m.Type == wire.TypeError {
		refused := new(wire.Error)
		if err := m.Decode(refused); err != nil {
			return err
		}
		return refused
	}
	return m.Decode(answer)
}

// introduce has the main node know the device's address, as where somebody uses the commands: strangers may come only so fast.
func (d *simulated) introduce(ctx context.Context) error {
	conn, err := d.dial(ctx)
	if err != nil {
		return fmt.Errorf("introduce: %w", err)
	}
	defer conn.Close()
	var w wire.Welcome
	return ask(conn, wire.TypeHello, wire.Hello{Protocol: wire.Spoken, Software: "bench", Token: d.fleet.main.local.Token}, &w)
}

// join enrols the device with the admin's token, as a worker on the main node's own host does.
func (d *simulated) join(ctx context.Context) error {
	conn, err := d.dial(ctx)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	defer conn.Close()
	var joined wire.Joined
	return ask(conn, wire.TypeJoin, wire.Join{Protocol: wire.Spoken, Token: d.fleet.main.local.Token, Name: d.name}, &joined)
}

// connect says hello and registers, once.
func (d *simulated) connect(ctx context.Context) (*wire.Conn, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	d.session++
	var w wire.Welcome
	err = ask(conn, wire.TypeHello, wire.Hello{Protocol: wire.Spoken, Software: "bench", BootCount: 1, Session: d.session, Life: d.life}, &w)
	if err == nil {
		err = d.register(conn, time.Duration(w.Heartbeat*float64(time.Second)))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// register tells how the device is, so that nothing is assigned to it while its gate is closed, and then what it can do.
func (d *simulated) register(conn *wire.Conn, every time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	conn.SetLimit(wire.MaxMessage)
	conn.SetDeadline(time.Time{})
	d.conn, d.seen = conn, 0
	if d.fleet.beats {
		d.beat = time.AfterFunc(rand.N(every), func() { d.beatAgain(conn, every) })
	}
	return conn.WriteMessages(d.heartbeat(idBeat), wire.Message{Type: wire.TypeRegister, Sender: d.name, ID: idRegister, Body: d.fleet.profile})
}

// heartbeat needs mu.
func (d *simulated) heartbeat(id string) wire.Message {
	cpu, memory, disk, load := 3.5, 41.2, 17.8, []float64{0.1, 0.1, 0.1}
	return wire.Message{Type: wire.TypeHeartbeat, Sender: d.name, ID: id, Body: wire.Heartbeat{
		Heartbeat:  device.Heartbeat{Metrics: device.Metrics{CPU: &cpu, Memory: &memory, Disk: &disk, Load: load}, Status: d.status},
		AssignSeen: d.seen, Held: []wire.Held{}}}
}

// beatAgain sends the heartbeats of a connection. That it cannot be written to is for its reader to find.
func (d *simulated) beatAgain(conn *wire.Conn, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == conn && conn.WriteMessages(d.heartbeat(idBeat)) == nil {
		d.beat.Reset(every)
	}
}

// set opens or closes the device's gate: it says that it takes tasks, or that it does not.
func (d *simulated) set(s device.Status) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = s
	if d.conn == nil {
		return fmt.Errorf("%s is not connected", d.name)
	}
	id := idBeat
	if s != device.Online {
		id = idShut
	}
	return d.conn.WriteMessages(d.heartbeat(id))
}

// run keeps the device connected until ctx ends, or until the connection ends where it is not to come back. Its waits are a worker's.
func (d *simulated) run(ctx context.Context, connected func()) error {
	for failures := 0; ; failures++ {
		conn, err := d.connect(ctx)
		if err == nil {
			failures = 0
			err = d.read(ctx, conn, connected)
		}
		var refused *wire.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && !errors.Is(err, wire.ErrBusy) && !errors.Is(err, wire.ErrShutdown), d.fleet.once && conn != nil:
			return fmt.Errorf("%s: %w", d.name, err)
		}
		d.fleet.refused.Add(1)
		select {
		case <-time.After(rand.N(min(20*time.Second, 500*time.Millisecond<<min(failures, 10))) + 10*time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// read takes what the main node says until the connection ends.
func (d *simulated) read(ctx context.Context, conn *wire.Conn, connected func()) error {
	defer d.hangUp(conn)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		m, err := conn.ReadMessage()
		if err == nil {
			err = d.take(conn, &m, connected)
		}
		if err != nil {
			return err
		}
	}
}

func (d *simulated) hangUp(conn *wire.Conn) {
	conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = nil
	if d.beat != nil {
		d.beat.Stop()
	}
}

func (d *simulated) take(conn *wire.Conn, m *wire.Message, connected func()) error {
	switch {
	case m.Type == wire.TypeTaskAssign:
		return d.answer(conn, m)
	case m.Type == wire.TypeError:
		refused := new(wire.Error)
		if err := m.Decode(refused); err != nil {
			return err
		}
		return fmt.Errorf("%s was answered with an error: %w", m.ReplyTo, refused)
	case m.ReplyTo == idRegister:
		connected()
	case m.ReplyTo == idShut:
		d.fleet.shuts.Add(1)
	case m.ReplyTo == idResult:
		return d.fleet.judged(m)
	}
	return nil
}

// assignment is what a simulated device looks at of a wire.Assign.
type assignment struct {
	Number int64      `json:"number"`
	Task   task.Lease `json:"task"`
}

// answer says that the attempt is being started and that it has ended, both at once.
func (d *simulated) answer(conn *wire.Conn, m *wire.Message) error {
	d.fleet.assigned.Add(1)
	select {
	case d.fleet.first <- time.Now():
	default:
	}
	var a assignment
	if err := m.Decode(&a); err != nil {
		return err
	}
	zero := 0
	result := wire.Result{Lease: a.Task, Status: task.AttemptCompleted, OutputBytes: 5, Result: wire.ResultBody{Output: "hello", ExitCode: &zero}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = a.Number
	return conn.WriteMessages(wire.Message{Type: wire.TypeTaskAccept, Sender: d.name, Body: wire.Accept{Lease: a.Task}},
		wire.Message{Type: wire.TypeTaskResult, Sender: d.name, ID: idResult, Body: result})
}
