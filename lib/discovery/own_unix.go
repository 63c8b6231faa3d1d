//go:build unix

package discovery

import (
	"net"
	"syscall"
)

// hearOwn lets others on this host hear what is answered to all: Go turns that off.
func hearOwn(conn *net.UDPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_LOOP, 1) })
	}
}
