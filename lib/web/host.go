package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// place is where rc-web is asked, and by which names. The zero value is nowhere.
type place struct {
	address  string // that is listened on, without the port
	loopback bool   // only this host itself can connect, and whoever it lets through
	names    []string
}

func newPlace(at net.Addr, hosts []string) place {
	host, _, err := net.SplitHostPort(at.String())
	if err != nil {
		host = at.String()
	}
	p := place{address: host, loopback: IsLoopback(at), names: append([]string{"localhost"}, hosts...)}
	if !p.loopback {
		p.names = append(p.names, hostNames()...)
	}
	return p
}

// IsLoopback says whether only this host itself can connect to an address.
func IsLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// hostNames are what this host is called at home: nas, nas.local.
func hostNames() (names []string) {
	full, err := os.Hostname()
	if err != nil || full == "" {
		return nil
	}
	full = strings.ToLower(full)
	short, _, _ := strings.Cut(full, ".")
	names = []string{short, short + ".local"}
	if full != short && full != names[1] {
		names = append(names, full)
	}
	return names
}

// CheckHost says what is wrong with a name by which rc-web is to be asked.
func CheckHost(name string) error {
	ok := name != "" && len(name) <= 253 && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "-")
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%.80q is no name of a host: letters, digits, hyphens and dots, without http:// and without a port", name)
	}
	return nil
}

// isCalled says whether a Host header names this machine by a name that only it can have. The port is free: a tunnel has another one.
func (p *place) isCalled(host string) bool {
	name, ok := withoutPort(host)
	if !ok {
		return false
	}
	for _, known := range p.names {
		if strings.EqualFold(strings.TrimSuffix(name, "."), known) {
			return true
		}
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && (!p.loopback || ip.Unmap().IsLoopback() || name == p.address)
}

func withoutPort(host string) (name string, ok bool) {
	if h, port, err := net.SplitHostPort(host); err == nil {
		_, err := strconv.ParseUint(port, 10, 16)
		return h, err == nil
	}
	if strings.HasPrefix(host, "[") {
		return strings.Trim(host, "[]"), true
	}
	return host, !strings.Contains(host, ":")
}

// checkHost refuses names that somebody else made point here (DNS rebinding): then a page of theirs would be of our origin.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.place.isCalled(r.Host) {
			use := "use localhost or 127.0.0.1, with the port that you connect to"
			if !s.place.loopback {
				use = "use this host's name or address, or start rc-web with --host and this name"
			}
			s.refuse(w, r, refused(http.StatusMisdirectedRequest, "E_HOST", "%.80q is not served here: %s", r.Host, use))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// URL is where a browser finds what listens at an address.
func URL(at net.Addr, hosts []string, withTLS bool) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		host, port = at.String(), ""
	}
	ip, err := netip.ParseAddr(host)
	everywhere := err == nil && ip.IsUnspecified()
	switch {
	case len(hosts) > 0 && !IsLoopback(at):
		host = hosts[0]
	case everywhere && len(hostNames()) > 1:
		host = hostNames()[1]
	case everywhere:
		host = "localhost"
	}
	if withTLS {
		return "https://" + net.JoinHostPort(host, port)
	}
	return "http://" + net.JoinHostPort(host, port)
}
