package depot

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSum asks for files by any name: only a sum is one, and nothing is made or opened outside the folder, or in it under another name.
func FuzzSum(f *testing.F) {
	for _, s := range []string{strings.Repeat("0", 64), strings.Repeat("A", 64), "../secret", strings.Repeat("../", 20) + "etc/passwd", strings.Repeat("0", 63) + "\x00", "", strings.Repeat("0", 64) + ".part"} {
		f.Add(s)
	}
	parent := f.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("x"), 0o600); err != nil {
		f.Fatal(err)
	}
	d, err := Open(filepath.Join(parent, "depot"), false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		isSum := len(s) == 64
		for _, c := range []byte(s) {
			isSum = isSum && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f')
		}
		if (CheckSum(s) == nil) != isSum {
			t.Fatalf("%q: %v", s, CheckSum(s))
		}
		if file, _, err := d.Get(s); err == nil {
			file.Close()
			t.Fatalf("%q was opened", s)
		}
		in, err := d.Receive(s, 1)
		if (err == nil) != isSum {
			t.Fatalf("%q: %v", s, err)
		}
		if err == nil {
			defer os.Remove(in.f.Name())
			defer in.Close()
		}
		filepath.WalkDir(parent, func(path string, e fs.DirEntry, err error) error {
			switch path {
			case parent, filepath.Join(parent, "secret"), d.dir, filepath.Join(d.dir, s) + partSuffix:
			default:
				t.Fatalf("%q made %s (%v)", s, path, err)
			}
			return nil
		})
	})
}
