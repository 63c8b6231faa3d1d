package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

// FuzzDuration checks that a length of time is not negative, and that its text is read as the same.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90s", "7d", "1d12h", "106751d23h47m16.854775807s", "1.5h", "-1s", "1d-1h", "0d", "1d+1h", " 5m ", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d, back cli.Duration
		if d.UnmarshalText([]byte(s)) != nil {
			return
		}
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d || d < 0 {
			t.Fatalf("%q is %d, %s, which is %d (%v)", s, d, d, back, err)
		}
		if plain, err := time.ParseDuration(strings.TrimSpace(s)); err == nil && plain != time.Duration(d) {
			t.Fatalf("%q is %v, time.ParseDuration says %v", s, time.Duration(d), plain)
		}
	})
}

// FuzzBytes is the same for sizes.
func FuzzBytes(f *testing.F) {
	for _, s := range []string{"1GiB", "1.5G", "10mb", "0", "8388607TiB", "9223372036854775807", "9223372036854775808", "1e3", ".", "5 K", "0.0000001TiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b, back cli.Bytes
		if b.UnmarshalText([]byte(s)) != nil {
			return
		}
		if err := back.UnmarshalText([]byte(b.String())); err != nil || back != b || b < 0 {
			t.Fatalf("%q is %d, %s, which is %d (%v)", s, b, b, back, err)
		}
	})
}

// FuzzMask checks that a secret is never left in a text, wherever it stands, and that what is masked stays as it is.
func FuzzMask(f *testing.F) {
	f.Add("join with \"", "ge3t_abc_def", "\" now", byte('j'))
	f.Add(`\n`, "0123456789_abcdefghij", "", byte('a'))
	f.Add("rca1_rca1", "x_y_z_secret", "rcs1_", byte('s'))
	f.Fuzz(func(t *testing.T, before, secret, after string, kind byte) {
		notSecret := func(r rune) bool {
			return r != '_' && !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
		}
		if kind < 'a' || kind > 'z' || len(secret) < 6 || strings.ContainsFunc(secret, notSecret) || strings.Contains(before+"|"+after, secret) {
			return
		}
		token := "rc" + string(kind) + "1_" + secret
		got := cli.Mask(before + token + after)
		if strings.Contains(got, secret) {
			t.Fatalf("%q is left in %q", secret, got)
		}
		if again := cli.Mask(got); again != got {
			t.Fatalf("%q, masked again: %q", got, again)
		}
	})
}
