package main

import (
	"fmt"
	"time"
)

// rowDevices connects devices that have nothing to do.
func rowDevices(r *run) error {
	n, err := r.manyDevices(r.size(10_000, 500))
	if err != nil {
		return err
	}
	m, err := r.mainNode("main", nil)
	if err != nil {
		return err
	}
	if err := r.sleep(time.Second); err != nil {
		return err
	}
	empty, err := memory(m.pid(), resident)
	if err != nil {
		return err
	}
	began := time.Now()
	f, err := r.fleet(m, n, 2)
	if err != nil {
		return err
	}
	f.beats = true
	if err := f.connect(atATime); err != nil {
		return err
	}
	r.note("%d devices joined and connected within %s, some at a time", n, time.Since(began).Round(100*time.Millisecond))
	u, err := r.cpuWhile(m.pid(), time.Duration(r.size(60, 3))*time.Second)
	if err != nil {
		return err
	}
	full, err := memory(m.pid(), resident)
	if err != nil {
		return err
	}
	r.tell("devices", once(float64(n)), "")
	r.atMost("memory of the main node for each", once(float64(full-empty)/float64(n)/kibibyte), "KiB", 60)
	r.atMost("CPU with a heartbeat a minute of each", once(u.share), "% of a core", 5)
	r.listDevices(m, n)
	return r.reconnect(f)
}

func (r *run) listDevices(m *mainNode, n int) {
	const what = "rc-status devices: p50"
	looks, lines, err := r.often(m, r.size(20, 5), "rc-status", "devices")
	if err == nil && lines != n {
		err = fmt.Errorf("run rc-status devices: it printed %d lines for %d devices", lines, n)
	}
	if err != nil {
		r.fail(what, err)
		return
	}
	r.atMost(what, once(looks.median()), "ms", 300)
}

// reconnect cuts all connections, and has all devices come back at the same moment.
func (r *run) reconnect(f *fleet) error {
	f.hangUp()
	f.refused.Store(0)
	f.once = false // one that is not let in tries again, as a worker does
	began := time.Now()
	if err := f.connect(len(f.devices)); err != nil {
		return err
	}
	settled := time.Since(began)
	status, err := f.main.client.Status(r.ctx)
	if err == nil && status.DevicesOnline != len(f.devices) {
		err = fmt.Errorf("%d of %d devices are online after all have connected again", status.DevicesOnline, len(f.devices))
	}
	if err != nil {
		return err
	}
	r.atMost("all connecting again at once: settled within", once(settled.Seconds()), "s", 30)
	r.note("connecting again at once, %d attempts were turned away or came to nothing", f.refused.Load())
	held, err := inMiB(f.main.pid(), resident)
	r.tell("memory after that", held, "MiB")
	return err
}
