package executor

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// What is different on Android, where Termux brings along what other systems have in /usr. The build for 32-bit
// phones is a Linux one, so all of this is decided when it runs.

// termux is the folder that stands for /usr; "" where this is not Android.
func termux() string {
	if os.Getenv("ANDROID_ROOT") == "" {
		return ""
	}
	return os.Getenv("PREFIX")
}

// throughShell has a script started by Termux's shell: the kernel does not find the #!/usr/bin/env that scripts
// begin with, and Termux's own programs do.
func (l *launch) throughShell() {
	prefix := termux()
	if prefix == "" || !isScript(l.path) {
		return
	}
	l.argv = append([]string{"sh", "-c", `exec "$0" "$@"`, l.path}, l.argv[1:]...)
	l.path = filepath.Join(prefix, "bin", "sh")
}

func isScript(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [2]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && string(b[:]) == "#!"
}

// resolver asks the name servers of Termux on Android, where the system has no list of them; nil elsewhere.
func resolver() *net.Resolver {
	prefix := termux()
	if prefix == "" {
		return nil
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if server := nameServer(filepath.Join(prefix, "etc", "resolv.conf")); server != "" {
			address = net.JoinHostPort(server, "53")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// nameServer is the first name server that a resolv.conf lists.
func nameServer(file string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1]
		}
	}
	return ""
}
