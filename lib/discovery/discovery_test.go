package discovery

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

const fingerprint = "obdih3auo6mu4faluiyfiqrwl6sfdmq5rhet4626vycs26znyz6a"

// free is an address of this host that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

func TestFind(t *testing.T) {
	at := free(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	node := Node{"living room. nas", fingerprint, []string{"192.168.1.5:8080", "[fd00::5]:8080", "not an address"}}
	go func() { done <- Answer(ctx, at, func() Node { return node }) }()
	found, err := Find(t.Context(), at, 10*time.Second, func(n []Node) bool { return len(n) > 0 })
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	want := Node{"living room- nas", fingerprint, []string{"192.168.1.5:8080", "[fd00::5]:8080"}}
	if got := found[0]; got.Name != want.Name || got.Fingerprint != want.Fingerprint || !slices.Equal(got.Addresses, want.Addresses) {
		t.Errorf("%+v, want %+v", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if found, err := Find(t.Context(), at, 50*time.Millisecond, func([]Node) bool { return false }); len(found) > 0 {
		t.Errorf("nobody answers, and %+v is found, %v", found, err)
	}
}

// Who asks for something else is not answered, nor is an answer; and one who is to be kept to itself says nothing.
func TestAnswerTo(t *testing.T) {
	n := Node{"nas", fingerprint, []string{"192.168.1.5:8080"}}
	q, err := question()
	if err != nil {
		t.Fatal(err)
	}
	answer, toAll := answerTo(q, true, n)
	if answer == nil || toAll {
		t.Fatal("no answer")
	}
	if again, _ := answerTo(answer, true, n); again != nil {
		t.Error("an answer is answered")
	}
	other := []byte(strings.Replace(string(q), "retire", "printr", 1))
	if a, _ := answerTo(other, true, n); a != nil {
		t.Error("another service is answered for")
	}
	n.Addresses = nil
	if a, _ := answerTo(q, true, n); a != nil {
		t.Error("it has no address, and tells that")
	}
}

func FuzzMessages(f *testing.F) {
	q, _ := question()
	f.Add(q)
	n := Node{"nas", fingerprint, []string{"192.168.1.5:8080", "[::1]:1"}}
	a, _ := answerTo(q, true, n)
	f.Add(a)
	f.Fuzz(func(t *testing.T, message []byte) {
		answerTo(message, false, n)
		if got, ok := parse(message); ok && len(got.Addresses) > mostAddresses {
			t.Error(len(got.Addresses))
		}
	})
}
