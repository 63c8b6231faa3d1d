package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
)

// drip is a connection on which bytes come a few at a time.
type drip struct {
	net.Conn
	rest []byte
	step int
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.step)], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// FuzzConn reads what a stranger sends: message by message what the lines say, nothing longer than the limit, whatever the pieces.
func FuzzConn(f *testing.F) {
	f.Add([]byte(`{"message_type":"hello"}`+"\n\n{}\n"), 100, 1)
	f.Add([]byte(strings.Repeat("x", 9000)+"\n"), 9001, 7)
	f.Add([]byte(`{"message_type":"a","data":"`+strings.Repeat("y", 9000)+"\"}\n{"), 8<<10, 4096)
	f.Add([]byte("\x00\xff\r\n\n{\"message_type\":\"b\"}\r\nrest"), 30, 3)
	f.Fuzz(func(t *testing.T, sent []byte, limit, step int) {
		limit, step = max(1, min(limit, 64<<10)), max(1, min(step, 64<<10))
		c := NewConn(&drip{rest: bytes.Clone(sent), step: step})
		c.SetLimit(limit)
		for line := range bytes.SplitAfterSeq(sent, []byte("\n")) {
			got, err := c.ReadMessage()
			switch whole := bytes.HasSuffix(line, []byte("\n")); {
			case len(line) > limit:
				if !errors.Is(err, ErrTooLarge) {
					t.Fatalf("%d bytes with a limit of %d: %v", len(line), limit, err)
				}
				return
			case !whole && len(line) == 0:
				if err != io.EOF {
					t.Fatalf("at the end: %v", err)
				}
			case !whole:
				if err != io.ErrUnexpectedEOF {
					t.Fatalf("within a message: %v", err)
				}
			default:
				want, wrong := ParseMessage(line)
				if !reflect.DeepEqual(got, want) || (err == nil) != (wrong == nil) || err != nil && !errors.Is(err, ErrJSON) {
					t.Fatalf("%q is %+v (%v), want %+v (%v)", line, got, err, want, wrong)
				}
			}
		}
	})
}

// FuzzToken checks that a token is its own text, and that what is none is refused without being shown.
func FuzzToken(f *testing.F) {
	for _, r := range kinds {
		f.Add(NewToken(r).String())
	}
	f.Add("rca1_0123456789_01234567890123456789012345")
	f.Add("rcz1__")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseToken(s)
		if err != nil {
			if secret := strings.TrimSpace(s); !errors.Is(err, ErrAuth) || len(secret) > 10 && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if token.String() != strings.TrimSpace(s) || !SameHash(token.Hash(), HashSecret(strings.TrimSpace(s))) {
			t.Fatalf("%q is %+v", s, token)
		}
	})
}

// FuzzFingerprint checks that two texts never stand for the same key.
func FuzzFingerprint(f *testing.F) {
	sum := sha256.Sum256(nil)
	good := base32Text.EncodeToString(sum[:])
	f.Add(good)
	f.Add(good[:51] + "b")
	f.Add(good[:20] + "\n" + good[20:])
	f.Add(strings.ToUpper(good))
	f.Fuzz(func(t *testing.T, s string) {
		if CheckFingerprint(s) != nil {
			return
		}
		if b, err := base32Text.DecodeString(s); err != nil || base32Text.EncodeToString(b) != s || len(s) != 52 {
			t.Fatalf("%q is another text of %q", s, base32Text.EncodeToString(b))
		}
	})
}

// FuzzAddress sends an address with a join code, in which it stands beside others.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"192.168.1.5:8080", "[fe80::1%eth0]:8080", "host:0", "a,b:1", ":80", "x:y", "[::1]", "ä:1", "a\r:1"} {
		f.Add(s)
	}
	sum := sha256.Sum256(nil)
	pin := base32Text.EncodeToString(sum[:])
	f.Fuzz(func(t *testing.T, s string) {
		if CheckAddress(s) != nil {
			return
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil || host == "" || port == "" {
			t.Fatalf("%q: %v", s, err)
		}
		code := NewJoinCode([]string{s, "main:8080"}, pin)
		back, err := ParseJoinCode(" " + code.String()[:9] + "\n" + code.String()[9:])
		if err != nil || !reflect.DeepEqual(back, code) {
			t.Fatalf("%q came as %q, %v", code.Addresses, back.Addresses, err)
		}
	})
}
