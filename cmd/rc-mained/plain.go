package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// network is a network as a flag, 192.168.1.0/24, or a single address.
type network netip.Prefix

// UnmarshalText parses a network. One that is written as an address in it is refused: it may be either that is meant.
func (n *network) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		*n = network(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return fmt.Errorf("%q: a network such as 192.168.1.0/24 or fd00::/64, or an address", s)
	case p != p.Masked():
		return fmt.Errorf("%q: the network is %s, the address %s", s, p.Masked(), p.Addr())
	}
	*n = network(p)
	return nil
}

// MarshalText is as UnmarshalText reads it.
func (n network) MarshalText() ([]byte, error) { return netip.Prefix(n).MarshalText() }

// plainFrom are the networks that plain connections may come from.
func (m *serve) plainFrom() []netip.Prefix {
	all := make([]netip.Prefix, len(m.PlainFrom))
	for i, n := range m.PlainFrom {
		all[i] = netip.Prefix(n)
	}
	return all
}
