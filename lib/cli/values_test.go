package cli_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
)

func TestBytes(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // -1: refused
		out  string
	}{
		{"0", 0, "0"}, {"1000", 1000, "1000"}, {"1024", 1024, "1KiB"}, {"1GiB", 1 << 30, "1GiB"}, {"512 MiB", 512 << 20, "512MiB"},
		{"10M", 10 << 20, "10MiB"}, {"10mb", 10e6, "10000000"}, {"1.5g", 3 << 29, "1536MiB"}, {"7B", 7, "7"}, {"3TiB", 3 << 40, "3TiB"},
		{"8388607TiB", 8388607 << 40, "8388607TiB"}, {"9223372036854775807", 1<<63 - 1, "9223372036854775807"},
		{"", -1, ""}, {"G", -1, ""}, {"-1", -1, ""}, {"1e3", -1, ""}, {"1.2.3", -1, ""}, {"5 apples", -1, ""}, {"0x10", -1, ""},
		{"8388608TiB", -1, ""}, {"9223372036854775808", -1, ""}, {"NaN", -1, ""}, {"1 2", -1, ""},
	}
	for _, tt := range tests {
		var b cli.Bytes
		err := b.UnmarshalText([]byte(tt.in))
		if (err != nil) != (tt.want < 0) || err == nil && (int64(b) != tt.want || b.String() != tt.out) {
			t.Errorf("%q: got %d %s, %v; want %d %s", tt.in, int64(b), b, err, tt.want, tt.out)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration // -1: refused
		out  string
	}{
		{"0", 0, "0s"}, {"90s", 90 * time.Second, "1m30s"}, {"1h", time.Hour, "1h"}, {"10m", 10 * time.Minute, "10m"},
		{"7d", 168 * time.Hour, "7d"}, {"1d12h", 36 * time.Hour, "1d12h"}, {"36h", 36 * time.Hour, "1d12h"}, {"150ms", 150 * time.Millisecond, "150ms"},
		{"1d1s", 24*time.Hour + time.Second, "1d1s"}, {"0d", 0, "0s"}, {"1h0m30s", time.Hour + 30*time.Second, "1h0m30s"},
		{"", -1, ""}, {"5", -1, ""}, {"-1s", -1, ""}, {"-1d", -1, ""}, {"1d-2h", -1, ""}, {"d", -1, ""}, {"1.5d", -1, ""},
		{"7 days", -1, ""}, {"999999d", -1, ""}, {"106751d24h", -1, ""}, {"1w", -1, ""},
	}
	for _, tt := range tests {
		var d cli.Duration
		err := d.UnmarshalText([]byte(tt.in))
		if (err != nil) != (tt.want < 0) || err == nil && (time.Duration(d) != tt.want || d.String() != tt.out) {
			t.Errorf("%q: got %d %s, %v; want %d %s", tt.in, int64(d), d, err, tt.want, tt.out)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "addr")
	for _, text := range []string{"one", "two"} {
		if err := cli.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := cli.WriteFile(dir, nil, 0o600); err == nil {
		t.Error("replaced a folder")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
