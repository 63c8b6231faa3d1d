package mainnode

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/retire-cluster/retire-cluster/lib/discovery"
)

// beFound answers who looks for main nodes on the local network, if this one can be reached from there.
func (n *Node) beFound(ctx context.Context, group *sync.WaitGroup) {
	self := discovery.Node{Name: n.core.set.Name, Addresses: n.core.addresses}
	if n.discovery == "" || len(self.Addresses) == 0 || !isLoopback(n.discovery) && !slices.ContainsFunc(self.Addresses, isElsewhere) {
		return
	}
	group.Go(func() {
		if err := discovery.Answer(ctx, n.discovery, func() discovery.Node {
			self.Fingerprint = n.keys.fingerprint()
			return self
		}); err != nil {
			n.log.Warn("devices will not find this main node by themselves; join codes tell them where it is", "err", err)
		}
	})
}

func isElsewhere(address string) bool { return !isLoopback(address) }

func isLoopback(address string) bool {
	if host, _, err := net.SplitHostPort(address); err == nil {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.IsLoopback()
	}
	return false
}
