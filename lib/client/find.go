package client

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// NotFoundError says that no main node was named and none was found, or that something is missing to use it.
type NotFoundError struct {
	Looked  []string // in these directories
	Dir     string   // of them, where a main node has its data; empty: in none
	Missing []string // files that are not in Dir: address, fingerprint, admin.token
	Err     error    // why one of them cannot be read; nil: it is not there
}

func (e *NotFoundError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("use the main node of this host: %v", e.Err)
	case e.Stopped():
		return fmt.Sprintf("the main node of this host, with its data in %s, does not run", e.Dir)
	case len(e.Missing) < 3:
		return fmt.Sprintf("no %s of the main node is given, and none is in %s", strings.Join(e.Missing, ", no "), strings.Join(e.Looked, " and "))
	}
	return "no main node on this host: nothing in " + strings.Join(e.Looked, " and ")
}

// Stopped says that there is a main node on this host but that it does not run.
func (e *NotFoundError) Stopped() bool {
	return e.Dir != "" && slices.Contains(e.Missing, wire.FileAddress) && e.Err == nil
}

// unknown says that a main node was named, and not who it is or who asks.
func (e *NotFoundError) unknown() bool { return !slices.Contains(e.Missing, wire.FileAddress) }

// Unwrap gives the error of the file.
func (e *NotFoundError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *NotFoundError) Hint() string {
	if e.Err != nil {
		return "name a file with your own token by --token-file; rc-ctl token make, run as the main node's user, makes one"
	}
	if e.unknown() {
		return "give its --pin (the file fingerprint in its data directory) and a --token-file (rc-ctl token make, on its host)"
	}
	return "start rc-mained here, or name a main node with --main, --pin and --token-file"
}

// ExitStatus is the status with which a command ends that met this error.
func (e *NotFoundError) ExitStatus() int {
	if errors.Is(e.Err, fs.ErrPermission) || e.unknown() {
		return 77
	}
	return 69
}

// Find fills in what is missing from the data directory of the main node on this host: o.Data, else $RC_DATA; else
// /var/lib/retire-cluster if it can be read, else $XDG_STATE_HOME/retire-cluster (~/.local/state/retire-cluster); else the socket of the service, if it lets
// this user in. The error is a *NotFoundError.
func Find(o Options, env func(string) (string, bool)) (Options, error) {
	if _, local := o.socket(); local {
		return o, nil
	}
	failed := &NotFoundError{Looked: wire.LocalDirs(o.Data, env)}
	for _, dir := range failed.Looked {
		found := o
		missing, err := found.fill(dir)
		if len(missing) == 0 {
			return found, nil
		}
		if failed.Dir == "" {
			failed.Missing, failed.Err = missing, err
			if isThere(dir) {
				failed.Dir = dir
			}
		}
	}
	if o.Main == "" && o.Token == "" && o.Data == "" && isOpen(wire.ServiceSocket) {
		o.Main = socketPrefix + wire.ServiceSocket
		return o, nil
	}
	return o, failed
}

// isOpen says whether a socket lets this user in.
func isOpen(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// isThere says whether a directory is that of a main node, which may not run now.
func isThere(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, wire.FileFingerprint))
	return err == nil
}

// fill reads from a directory what o lacks, and says what it still lacks. The error is of a file that is there.
func (o *Options) fill(dir string) (missing []string, err error) {
	local, err := wire.ReadLocal(dir)
	if o.Pin != "" && o.Pin != local.Fingerprint {
		local.Token = "" // it is no other main node's business
	}
	for _, f := range []struct {
		name, found string
		into        *string
	}{{wire.FileAddress, local.Address, &o.Main}, {wire.FileFingerprint, local.Fingerprint, &o.Pin}, {wire.FileToken, local.Token, &o.Token}} {
		if *f.into == "" {
			*f.into = f.found
		}
		if *f.into == "" {
			missing = append(missing, f.name)
		}
	}
	return missing, err
}
