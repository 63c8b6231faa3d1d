package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarding are the headers by which a proxy says that it asks for somebody else.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// isForwarded says whether a request came through a proxy: from anybody, whatever address it comes from.
func isForwarded(r *http.Request) bool {
	return slices.ContainsFunc(forwarding, func(name string) bool { return len(r.Header.Values(name)) > 0 })
}

// ParseProxy reads an address, or a network, of a proxy that is believed.
func ParseProxy(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().Prefix(ip.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%.80q is no address and no network, such as 192.168.1.2 or 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}

// peerOf is the address at the other end of a connection; not valid where there is none.
func peerOf(address string) netip.Addr {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// isProxy says whether an address is that of a proxy that is believed.
func (s *Server) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.options.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addressOf is where a request comes from: the other end of its connection, or whom proxies that are believed say they ask for.
func (s *Server) addressOf(r *http.Request) netip.Addr {
	from := peerOf(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.isProxy(from); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		from = hop.Unmap().WithZone("")
	}
	return from
}

// isSecure says whether the browser speaks TLS, with us or with a proxy that is believed.
func (s *Server) isSecure(r *http.Request) bool {
	return r.TLS != nil || s.isProxy(peerOf(r.RemoteAddr)) && r.Header.Get("X-Forwarded-Proto") == "https"
}
