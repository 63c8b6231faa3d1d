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
	w.o.Log.Info("the main node is where it was not known to be", "addresses", found)
	return dial(ctx, w.home.identity, w.home.pinned(), found)
}

// seek looks for the main node on the local network, now and then: other addresses than those that are known.
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
	for _, n := range nodes {
		for _, a := range n.Addresses {
			if isIt(n) && !slices.Contains(known, a) {
				found = append(found, a)
			}
		}
	}
	return found
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
