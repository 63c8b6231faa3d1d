package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files that a main node leaves in its data directory for commands and workers on the same host.
const (
	FileAddress     = "address"     // where it listens; gone while it does not run
	FileFingerprint = "fingerprint" // who it is
	FileToken       = "admin.token" // only its own user can read it
	FileSocket      = "main.sock"   // in the directory that a service is given to run in
)

// serviceDir is where a main node that runs as a service keeps its data.
const serviceDir = "/var/lib/retire-cluster"

// ServiceSocket is where such a main node lets users of its host in.
const ServiceSocket = "/run/retire-cluster/" + FileSocket

// DataDir is where a main node keeps its data, where nobody says otherwise: $RC_DATA, else what a service has been given
// ($STATE_DIRECTORY), else below the user's own state.
func DataDir(env func(string) (string, bool)) string {
	for _, name := range []string{"RC_DATA", "STATE_DIRECTORY"} {
		if dir, ok := env(name); ok && dir != "" {
			return strings.Split(dir, ":")[0]
		}
	}
	return filepath.Join(StateHome(env), "retire-cluster")
}

// StateHome is where programs of this user keep what must outlive a restart.
func StateHome(env func(string) (string, bool)) string {
	if dir, ok := env("XDG_STATE_HOME"); ok && filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".local", "state")
}

// Local is how the main node on this host is reached.
type Local struct {
	Dir                         string // where it was found
	Address, Fingerprint, Token string
}

// ErrNoLocal says that there is no main node on this host, or none that this user may use.
var ErrNoLocal = errors.New("no main node found on this host")

// LocalDirs lists where to look for a main node on this host: in the directory that is named or in $RC_DATA; else where a service
// keeps its data, and where this user does.
func LocalDirs(named string, env func(string) (string, bool)) []string {
	if named == "" {
		named, _ = env("RC_DATA")
	}
	if named != "" {
		return []string{named}
	}
	return []string{serviceDir, filepath.Join(StateHome(env), "retire-cluster")}
}

// FindLocal finds a main node that runs on this host. The error is ErrNoLocal and says where was looked.
func FindLocal(named string, env func(string) (string, bool)) (Local, error) {
	dirs := LocalDirs(named, env)
	for _, d := range dirs {
		if l, err := ReadLocal(d); err == nil && l.Address != "" {
			return l, nil
		}
	}
	return Local{}, fmt.Errorf("%w (looked in %s)", ErrNoLocal, strings.Join(dirs, " and "))
}

// ReadLocal reads what a main node left in a directory. What is not there is empty; the error is of a file that is there and cannot be
// read, and what could be read comes along.
func ReadLocal(dir string) (l Local, err error) {
	l.Dir = dir
	for name, into := range map[string]*string{FileAddress: &l.Address, FileFingerprint: &l.Fingerprint, FileToken: &l.Token} {
		b, e := os.ReadFile(filepath.Join(dir, name))
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
		*into = strings.TrimSpace(string(b))
	}
	return l, err
}
