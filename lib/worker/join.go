package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/profile"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// ErrJoined says that the device belongs to a cluster already.
var ErrJoined = errors.New("this device has joined a cluster before; to join another, give another data directory, or remove this one")

// Join joins a cluster, and says under which name, and whether it has to be approved. Errors are as those of Open, and ErrJoined.
func Join(ctx context.Context, o Options) (joined wire.Joined, err error) {
	w := &Worker{o: o}
	if w.home, err = openHome(o.Dir); err != nil {
		return joined, err
	}
	defer w.home.lock.Close()
	if w.home.joined() {
		return joined, ErrJoined
	}
	return w.join(ctx, profile.Options{Roots: o.Roots, Name: o.Name})
}

// ErrNotJoined says that the device belongs to no cluster, and how it could.
var ErrNotJoined = errors.New("this device has not joined a cluster: give a join code with --join (rc-ctl invite on the main node makes one), or start rc-mained on this host")

// join enrols the device with a join code, or at the main node on this host.
func (w *Worker) join(ctx context.Context, facts profile.Options) (joined wire.Joined, err error) {
	j := wire.Join{Protocol: wire.Spoken, Name: w.o.Name}
	if j.Name == "" {
		j.Name = profile.DefaultName(ctx, facts)
	}
	if err := device.CheckName(j.Name); err != nil {
		return joined, wire.NewError(err)
	}
	var addresses []string
	m := &w.home.member
	if w.o.JoinCode != "" {
		code, err := wire.ParseJoinCode(w.o.JoinCode)
		if err != nil {
			return joined, wire.NewError(err)
		}
		j.Invite, j.Secret = code.ID, code.Secret
		m.Fingerprint, m.Addresses, addresses = code.Fingerprint, code.Addresses, code.Addresses
	} else {
		l, err := wire.FindLocal(w.o.MainData, w.o.Env)
		if err != nil || l.Token == "" || l.Fingerprint == "" {
			return joined, ErrNotJoined
		}
		j.Token = l.Token
		m.Fingerprint, m.Local, addresses = l.Fingerprint, l.Dir, []string{l.Address}
	}
	conn, address, err := w.reach(ctx, addresses)
	if err != nil {
		return joined, fmt.Errorf("join: %w", err)
	}
	defer conn.Close()
	if err := ask(conn, wire.TypeJoin, j, &joined); err != nil {
		return joined, err
	}
	m.DeviceID = joined.DeviceID
	w.o.Log.Info("joined the cluster", "device", m.DeviceID, "main_node", address, "waits_to_be_approved", joined.Pending)
	return joined, w.home.save()
}
