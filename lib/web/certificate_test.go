package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOwnCertificate(t *testing.T) {
	dir, log, now := t.TempDir(), slog.New(slog.DiscardHandler), time.Now()
	at := &net.TCPAddr{IP: net.ParseIP("192.168.1.5"), Port: 5000}
	c, err := OwnCertificate(dir, at, []string{"cluster.example"}, log)
	if err != nil {
		t.Fatal(err)
	}
	leaf := c.current.Load().Leaf
	for _, name := range append(hostNames(), "localhost", "127.0.0.1", "::1", "192.168.1.5", "cluster.example") {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("evil.example"); err == nil {
		t.Error("it is good for any name")
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore) + time.Second; life > 397*24*time.Hour {
		t.Errorf("it is good for %s", life)
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("a key that browsers refuse: %T", leaf.PublicKey)
	}
	if info, err := os.Stat(filepath.Join(dir, fileCertificate)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if f := c.Fingerprint(); len(strings.Split(f, ":")) != 32 || strings.ToUpper(f) != f {
		t.Error(f)
	}

	again := func(what string, hosts []string, now time.Time, stays bool) {
		t.Helper()
		path := filepath.Join(dir, fileCertificate)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := ensureCertificate(path, namesOf(at, hosts), now)
		if err != nil {
			t.Fatal(err)
		}
		after, _ := os.ReadFile(path)
		if (string(before) == string(after)) != stays {
			t.Errorf("%s: it stays the same: %v", what, !stays)
		}
		if !pair.PrivateKey.(*ecdsa.PrivateKey).Equal(c.current.Load().PrivateKey) {
			t.Errorf("%s: another key", what)
		}
		if !isGood(pair.Leaf, namesOf(at, hosts), now) {
			t.Errorf("%s: what was made is not good", what)
		}
	}
	again("at the next start", []string{"cluster.example"}, now, true)
	again("a year later", []string{"cluster.example"}, now.Add(365*24*time.Hour), true)
	again("one name less", nil, now, true)
	again("one name more", []string{"other.example"}, now, false)
	again("29 days before its end", nil, leaf.NotAfter.Add(-29*24*time.Hour), false)
	again("a clock that was in the future", nil, now, false)
}

func TestFileCertificate(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	write := func() {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b, err := makeCertificate(key, []string{"cluster.example"}, time.Now())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "next"), b, 0o600)
		}
		if err == nil {
			err = os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "both.pem"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "both.pem")
	if _, err := FileCertificate(path, path, log); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	write()
	c, err := FileCertificate(path, path, log)
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan string, 10)
	c.Changed = func(fingerprint string) { changed <- fingerprint }
	first := c.Fingerprint()
	s := openAt(t, t.TempDir(), "127.0.0.1:0", Options{Certificate: c})
	shown := func() string {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return string(conn.ConnectionState().PeerCertificates[0].Raw)
	}
	old := shown()
	for fingerprint := first; fingerprint == first; { // the watch may have begun after the first write
		write()
		select {
		case fingerprint = <-changed:
		case <-time.After(time.Second):
		}
	}
	if old == shown() {
		t.Error("the old one is shown still")
	}
	if err := os.WriteFile(path, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.look(time.Now()); err == nil {
		t.Error("half a certificate was taken")
	}
	shown()
}

func TestNamesOfAllAddresses(t *testing.T) {
	names := namesOf(&net.TCPAddr{IP: net.IPv6zero}, nil)
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range own {
		ip := a.(*net.IPNet).IP
		if ip.To4() != nil && !ip.IsLinkLocalUnicast() && !slices.Contains(names, ip.String()) {
			t.Errorf("%s is not among %v", ip, names)
		}
	}
}
