package main

import (
	"net"
	"sync"
	"time"
)

// distance is a network between workers and the main node on which everything takes a while.
type distance struct {
	listener net.Listener
	target   string
	oneWay   time.Duration
	group    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	ended bool
}

// distance begins to listen for who is to be so far away from the target.
func (r *run) distance(target string, roundTrip time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &distance{listener: l, target: target, oneWay: roundTrip / 2}
	d.group.Go(d.accept)
	r.atEnd(d.end)
	return d, nil
}

func (d *distance) address() string { return d.listener.Addr().String() }

func (d *distance) accept() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", d.target)
		if err != nil {
			near.Close()
			continue
		}
		d.keep(near, far)
		d.group.Go(func() { d.carry(far, near) })
		d.group.Go(func() { d.carry(near, far) })
	}
}

func (d *distance) keep(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns = append(d.conns, conns...); d.ended {
		for _, c := range conns {
			c.Close()
		}
	}
}

// parcel is what was read together, and when it is due.
type parcel struct {
	data []byte
	due  time.Time
}

// carry brings what comes from one side to the other, so much later. As much as one likes is under way at a time.
func (d *distance) carry(to, from net.Conn) {
	defer to.Close()
	parcels := make(chan parcel, 4096)
	d.group.Go(func() {
		defer close(parcels)
		for {
			data := make([]byte, 16<<10)
			n, err := from.Read(data)
			if n > 0 {
				parcels <- parcel{data[:n], time.Now().Add(d.oneWay)}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range parcels {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close()
		}
	}
}

func (d *distance) end() {
	d.listener.Close()
	d.mu.Lock()
	d.ended = true
	for _, c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.group.Wait()
}
