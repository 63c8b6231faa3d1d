package mainnode

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// localUser says which user is at the other side of a socket of this host; the kernel vouches for it. Whoever gets there is let in by the permissions
// of the socket, but for a process that can gain no privileges: all tasks of a worker are such, and a worker may well run as a user who is let in.
func localUser(c *net.UnixConn) (string, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return "", err
	}
	if failed != nil {
		return "", fmt.Errorf("who is at the socket: %w", failed)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(int(peer.Pid)) + "/status")
	if err != nil || bytes.Contains(status, []byte("\nNoNewPrivs:\t1\n")) {
		return "", wire.Errorf(wire.ErrAuth, "the socket is not for processes that can gain no privileges, as tasks are; use --token-file")
	}
	name := "uid " + strconv.Itoa(int(peer.Uid))
	if u, err := user.LookupId(strconv.Itoa(int(peer.Uid))); err == nil {
		name += " (" + u.Username + ")"
	}
	return name, nil
}
