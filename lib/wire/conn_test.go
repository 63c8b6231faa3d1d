package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A peer may be silent between messages, and not within one.
func TestHalfAMessageTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		c := NewConn(b)
		c.BePatient()
		go func() {
			time.Sleep(24 * time.Hour)
			io.WriteString(a, `{"message_type"`)
			for range 3 { // it makes progress
				time.Sleep(FrameTime - time.Second)
				io.WriteString(a, ` `)
			}
			io.WriteString(a, ":\"x\"}\n")
			time.Sleep(24 * time.Hour)
			io.WriteString(a, `{"message`)
		}()
		if m, err := c.ReadMessage(); err != nil || m.Type != "x" {
			t.Fatalf("%+v %v", m, err)
		}
		began := time.Now()
		if _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 24*time.Hour+FrameTime {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
	})
}
