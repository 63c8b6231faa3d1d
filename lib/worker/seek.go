package worker

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/discovery"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	seekFor   = 2 * time.Second
	seekEvery = time.Minute

	mostOthers = 4 // addresses of main nodes with other keys: ours may have been given another, and have the former one beside it
)

// reach connects to the main node: where it is known to be, or else where it is found on the local network.
func (w *Worker) reach(ctx context.Context, addresses []string) (conn *wire.Conn, address string, err error) {
	conn, address, err = dial(ctx, w.home.identity, w.home.pinned(), addresses)
	if err == nil || ctx.Err() != nil {
		return conn, address, err
	}
	found := w.seek(ctx, addresses)
	if len(found) == 0 {
		return nil, "", err
	}
	if conn, address, e := dial(ctx, w.home.identity, w.home.pinned(), found); e == nil {
		w.o.Log.Info("the main node is where it was not known to be", "address", address)
		return conn, address, nil
	}
	return nil, "", err
}

// seek looks for the main node on the local network, now and then: other addresses than those that are known. Whether it is the right one is seen when
// it is reached.
func (w *Worker) seek(ctx context.Context, known []string) (found []string) {
	w.sought.Lock()
	defer w.sought.Unlock()
	if at := w.o.Discovery; at == "" || !isLoopback(at) && onlyLoopback(known) || !w.sought.last.IsZero() && time.Since(w.sought.last) < seekEvery {
		return nil
	}
	w.sought.last = time.Now()
	pin := w.home.pinned()
	isIt := func(n discovery.Node) bool { return n.Fingerprint == pin }
	nodes, err := discovery.Find(ctx, w.o.Discovery, seekFor, func(all []discovery.Node) bool { return slices.ContainsFunc(all, isIt) })
	if err != nil {
		w.o.Log.Debug("cannot look for the main node", "err", err)
	}
	var others []string
	for _, n := range nodes {
		for _, a := range n.Addresses {
			switch {
			case slices.Contains(known, a):
			case isIt(n):
				found = append(found, a)
			case len(others) < mostOthers:
				others = append(others, a)
			}
		}
	}
	return append(found, others...)
}

// onlyLoopback says whether all addresses are of this host: then the main node is here or not at all.
func onlyLoopback(addresses []string) bool {
	return len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !isLoopback(a) })
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
