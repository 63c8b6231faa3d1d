package main

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// rig is a main node with one real worker.
type rig struct {
	*mainNode
	worker *daemon
}

// rig starts both, and lets the worker run some tasks, so that what is done once only is not measured.
func (r *run) rig(slots int) (*rig, error) {
	m, err := r.mainNode("main", nil)
	if err != nil {
		return nil, err
	}
	c := &rig{mainNode: m}
	if c.worker, err = r.worker(m, "worker", slots); err != nil {
		return nil, err
	}
	return c, r.warm(m)
}

// worker starts a worker. With addresses it joins by a code that names these, else it finds the main node on this host.
func (r *run) worker(m *mainNode, name string, slots int, addresses ...string) (*daemon, error) {
	args := []string{"--name=" + name, "--data=" + r.path(name), "--slots=" + strconv.Itoa(slots)}
	if len(addresses) > 0 {
		made, err := m.client.Invite(r.ctx, wire.Invite{Addresses: addresses})
		if err != nil {
			return nil, fmt.Errorf("make a join code for %s: %w", name, err)
		}
		args = append(args, "--join="+made.Code)
	} else {
		args = append(args, "--main-data="+m.data)
	}
	d, err := r.daemon(name, nil, filepath.Join(r.set.bin, "rc-workerd"), args...)
	if err != nil {
		return nil, err
	}
	return d, r.until(name+" to be online", func() bool {
		it, _, err := m.client.Device(r.ctx, name)
		return err == nil && it.Status == device.Online && len(it.Profile.TaskTypes) > 0
	})
}

// warm lets tasks run that nobody measures.
func (r *run) warm(m *mainNode) error {
	numbers, err := r.numbers(40)
	if err != nil {
		return err
	}
	_, err = r.each(m, 40, numbers, "--", "true", "{}")
	return err
}
