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

// Join joins a cluster, and says under which name. Errors are as those of Open, and ErrJoined.
func Join(ctx context.Context, o Options) (name string, err error) {
	w := &Worker{o: o}
	if w.home, err = openHome(o.Dir); err != nil {
		return "", err
	}
	defer w.home.lock.Close()
	if w.home.joined() {
		return "", ErrJoined
	}
	err = w.join(ctx, profile.Options{Roots: o.Roots, Name: o.Name})
	return w.DeviceID(), err
}

// ErrNotJoined says that the device belongs to no cluster, and how it could.
var ErrNotJoined = errors.New("this device has not joined a cluster: give a join code with --join (rc-ctl invite on the main node makes one), or start rc-mained on this host")

// join enrols the device with a join code, or at the main node on this host.
func (w *Worker) join(ctx context.Context, facts profile.Options) error {
	j := wire.Join{Protocol: wire.Spoken, Name: w.o.Name}
	if j.Name == "" {
		j.Name = profile.DefaultName(ctx, facts)
	}
	if err := device.CheckName(j.Name); err != nil {
		return wire.NewError(err)
	}
	var addresses []string
	m := &w.home.member
	if w.o.JoinCode != "" {
		code, err := wire.ParseJoinCode(w.o.JoinCode)
		if err != nil {
			return wire.NewError(err)
		}
		j.Invite, j.Secret = code.ID, code.Secret
		m.Fingerprint, m.Addresses, addresses = code.Fingerprint, code.Addresses, code.Addresses
	} else {
		l, err := wire.FindLocal(w.o.MainData, w.o.Env)
		if err != nil || l.Token == "" || l.Fingerprint == "" {
			return ErrNotJoined
		}
		j.Token = l.Token
		m.Fingerprint, m.Local, addresses = l.Fingerprint, l.Dir, []string{l.Address}
	}
	conn, address, err := w.reach(ctx, addresses)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	defer conn.Close()
	var joined wire.Joined
	if err := ask(conn, wire.TypeJoin, j, &joined); err != nil {
		return err
	}
	m.DeviceID = joined.DeviceID
	w.o.Log.Info("joined the cluster", "device", m.DeviceID, "main_node", address)
	return w.home.save()
}
