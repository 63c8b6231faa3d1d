package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/web"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Files that rc-web leaves in its directory while it runs, for rc-web login.
const (
	fileURL         = "web.url"
	fileFingerprint = "web.fingerprint" // of the certificate, where there is one
)

// serviceHome is where an rc-web that runs as a service has its directory.
const serviceHome = "/var/lib/retire-cluster-web"

// home is rc-web's own directory.
type home struct {
	dir string
	err error // why it cannot be used
	log *cli.Log
}

// homeDir is where the directory is, where nobody says otherwise.
func homeDir(named string, env cli.Env) string {
	if named != "" {
		return named
	}
	if dir, ok := env("STATE_DIRECTORY"); ok && dir != "" {
		return strings.Split(dir, ":")[0]
	}
	return filepath.Join(wire.StateHome(env), "retire-cluster-web")
}

// openHome makes the directory where it is not there. Without it rc-web serves all the same, if it needs no certificate.
func openHome(named string, env cli.Env, log *cli.Log) *home {
	h := &home{dir: homeDir(named, env), log: log}
	if h.err = os.MkdirAll(h.dir, 0o700); h.err != nil {
		log.Warn("rc-web login will need --url", "err", h.err)
	}
	return h
}

// announce says where rc-web is found, until forget is called.
func (h *home) announce(url string, c *web.Certificate) (forget func()) {
	if h.err != nil {
		return func() {}
	}
	h.write(fileURL, url)
	os.Remove(filepath.Join(h.dir, fileFingerprint)) // of one that was killed
	if c != nil {
		h.write(fileFingerprint, c.Fingerprint())
		c.Changed = func(fingerprint string) { h.write(fileFingerprint, fingerprint) }
	}
	return func() {
		if url != h.read(fileURL) {
			return // another rc-web has taken the directory over
		}
		os.Remove(filepath.Join(h.dir, fileURL))
		os.Remove(filepath.Join(h.dir, fileFingerprint))
	}
}

func (h *home) write(name, line string) {
	if err := cli.WriteFile(filepath.Join(h.dir, name), []byte(line+"\n"), 0o644); err != nil {
		h.log.Warn("rc-web login will need --url", "err", err)
	}
}

func (h *home) read(name string) string {
	b, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// findHome finds the directory of an rc-web that runs: that of a service, or of this user.
func findHome(named string, env cli.Env) (*home, error) {
	dirs := []string{serviceHome, homeDir("", env)}
	if named != "" {
		dirs = []string{named}
	}
	for _, dir := range dirs {
		h := &home{dir: dir}
		if h.read(fileURL) != "" {
			return h, nil
		}
	}
	return nil, fmt.Errorf("no rc-web runs on this host, as far as %s can be read", strings.Join(dirs, " and "))
}
