package web

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/reload"
)

// Certificate is what browsers are shown: rc-web's own, which it makes and renews by itself, or one that somebody else looks after.
type Certificate struct {
	Changed func(fingerprint string) // called after another took its place; may be nil

	log     *slog.Logger
	read    func(time.Time) (*tls.Certificate, error)
	files   []string // that are watched; none: its own is looked at now and then
	reading sync.Mutex
	current atomic.Pointer[tls.Certificate]
}

const (
	fileCertificate = "web.pem" // with its key

	certificateTime  = 397 * 24 * time.Hour // browsers take no longer ones
	certificateEarly = 24 * time.Hour       // it is good before it is made: the clock of a phone may be slow
	certificateRest  = 30 * 24 * time.Hour
	certificateEvery = time.Hour // its names are looked at: an address may be another by then
)

// OwnCertificate is rc-web's own, in its directory, for what listens at an address and is called by these names too.
func OwnCertificate(dir string, at net.Addr, hosts []string, log *slog.Logger) (*Certificate, error) {
	path := filepath.Join(dir, fileCertificate)
	c := &Certificate{log: log}
	c.read = func(now time.Time) (*tls.Certificate, error) { return ensureCertificate(path, namesOf(at, hosts), now) }
	return c, c.look(time.Now())
}

// FileCertificate is one that somebody else looks after: it is read anew when its files change.
func FileCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{log: log, files: []string{certificate, key}}
	c.read = func(time.Time) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate %s and its key %s: %w", certificate, key, err)
		}
		return &pair, nil
	}
	return c, c.look(time.Now())
}

// look reads or makes the certificate. After an error the one until now stays.
func (c *Certificate) look(now time.Time) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	fresh, err := c.read(now)
	if err != nil {
		return err
	}
	old := c.current.Swap(fresh)
	if old == nil || bytes.Equal(old.Certificate[0], fresh.Certificate[0]) {
		return nil
	}
	c.log.Info("another certificate from now on", "sha256", c.Fingerprint())
	if c.Changed != nil {
		c.Changed(c.Fingerprint())
	}
	return nil
}

// keep looks after the certificate until ctx ends.
func (c *Certificate) keep(ctx context.Context) {
	again := func() {
		if err := c.look(time.Now()); err != nil {
			c.log.Error("the certificate until now stays", "err", err)
		}
	}
	var group sync.WaitGroup
	for _, path := range c.files {
		group.Go(func() {
			if err := reload.Watch(ctx, path, reload.Debounce, again); err != nil {
				c.log.Warn("changes of the certificate will not be noticed", "err", err)
			}
		})
	}
	group.Wait()
	if len(c.files) > 0 {
		return
	}
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			again()
		case <-ctx.Done():
			return
		}
	}
}

// config is that of the server. Browsers of old phones know no TLS 1.3.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Fingerprint is the certificate's SHA-256, written as browsers show it.
func (c *Certificate) Fingerprint() string {
	sum := sha256.Sum256(c.current.Load().Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// namesOf are the names and addresses by which what listens at an address can be asked for at home. Of IPv6, addresses from outside are left out: they change
// every day, and the certificate, which browsers were told to trust, would with them.
func namesOf(at net.Addr, hosts []string) []string {
	names := append(append([]string{}, hosts...), hostNames()...)
	names = append(names, "localhost", "127.0.0.1", "::1")
	tcp, ok := at.(*net.TCPAddr)
	switch {
	case !ok:
	case tcp.IP.IsUnspecified():
		own, _ := net.InterfaceAddrs() // where they are hidden, as on Android, there are the names
		for _, a := range own {
			p, err := netip.ParsePrefix(a.String())
			if ip := p.Addr(); err == nil && !ip.IsLinkLocalUnicast() && (ip.Is4() || ip.IsPrivate()) {
				names = append(names, ip.String())
			}
		}
	default:
		names = append(names, peerOf(at.String()).String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ensureCertificate reads the certificate from its file. Where it is too old, or lacks a name, it makes another of the same key.
func ensureCertificate(path string, names []string, now time.Time) (*tls.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	old, err := tls.X509KeyPair(b, b)
	if err == nil && isGood(old.Leaf, names, now) {
		return &old, nil
	}
	key, _ := old.PrivateKey.(*ecdsa.PrivateKey)
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
	}
	if b, err = makeCertificate(key, names, now); err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	if err := cli.WriteFile(path, b, 0o600); err != nil {
		return nil, err
	}
	fresh, err := tls.X509KeyPair(b, b)
	return &fresh, err
}

// isGood says whether a certificate has time left and all the names. One too many does no harm.
func isGood(c *x509.Certificate, names []string, now time.Time) bool {
	if now.Before(c.NotBefore) || now.After(c.NotAfter.Add(-certificateRest)) {
		return false
	}
	for _, name := range names {
		if !slices.Contains(c.DNSNames, name) && !slices.ContainsFunc(c.IPAddresses, func(ip net.IP) bool { return ip.String() == name }) {
			return false
		}
	}
	return true
}

// makeCertificate makes a certificate that its own key signs, and writes both as PEM. Browsers take ECDSA, and no Ed25519.
func makeCertificate(key crypto.Signer, names []string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	from := now.Add(-certificateEarly)
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Retire-Cluster"}, CommonName: "rc-web"},
		NotBefore:             from,
		NotAfter:              from.Add(certificateTime - time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	signed, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}
