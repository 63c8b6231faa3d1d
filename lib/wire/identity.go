package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// ALPN names the protocol within TLS.
const ALPN = "retire-cluster/1"

var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Identity is a key with its self-signed certificate: who somebody is.
type Identity struct{ cert tls.Certificate }

// NewIdentity makes a key and a certificate. The certificate is valid at any time that a wrong clock may show.
func NewIdentity(name string) (*Identity, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: never ends
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &Identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

// PEM is the identity as it is kept in a file: a secret.
func (i *Identity) PEM() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(i.cert.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Certificate[0]})...), nil
}

// ParseIdentity reads what PEM wrote.
func ParseIdentity(b []byte) (*Identity, error) {
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("read an identity: %w", err)
	}
	return &Identity{c}, nil
}

// Fingerprint is what others know the identity by.
func (i *Identity) Fingerprint() string { return fingerprint(i.cert.Certificate[0]) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base32Text.EncodeToString(sum[:])
}

// CheckFingerprint says whether s has the form of a fingerprint. Base 32 has several texts for the same bytes, of which one is it: others would match nothing.
func CheckFingerprint(s string) error {
	if b, err := base32Text.DecodeString(s); err != nil || len(b) != sha256.Size || base32Text.EncodeToString(b) != s {
		return Errorf(ErrField, "fingerprint %.60q: 52 characters of a-z and 2-7", s)
	}
	return nil
}

// ServerTLS is the main node's side: it takes any client certificate, and leaves to PeerFingerprint whose it is. pick gives its identity to who
// expects one with a fingerprint, which is empty where nobody says.
func ServerTLS(pick func(expected string) *Identity) *tls.Config {
	return &tls.Config{
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return &pick(h.ServerName).cert, nil },
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{ALPN},
		ClientAuth:     tls.RequestClientCert,
	}
}

// ClientTLS is the other side: it speaks only with the main node that has the fingerprint. A worker gives its identity, a client nil.
func ClientTLS(self *Identity, pin string) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{ALPN},
		ServerName:         pin,  // a fingerprint is a name like others: it tells a main node that has two keys for a while which to show
		InsecureSkipVerify: true, // names and dates say nothing here; the pin below says all
		VerifyConnection: func(s tls.ConnectionState) error { // unlike VerifyPeerCertificate also on resumption
			got := PeerFingerprint(s)
			if subtle.ConstantTimeCompare([]byte(got), []byte(pin)) != 1 {
				return Errorf(ErrAuth, "the main node's fingerprint is %s, expected %s; is it another main node, or was it installed anew?", got, pin)
			}
			return nil
		},
	}
	if self != nil {
		c.Certificates = []tls.Certificate{self.cert}
	}
	return c
}

// PeerFingerprint is who is at the other end; empty where it showed no certificate.
func PeerFingerprint(s tls.ConnectionState) string {
	if len(s.PeerCertificates) == 0 {
		return ""
	}
	return fingerprint(s.PeerCertificates[0].Raw)
}

// secretText makes n characters of base 32 that nobody can guess.
func secretText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strings.ToLower(rand.Text()))
	}
	return b.String()[:n]
}
