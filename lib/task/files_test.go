package task

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFiles(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	for _, c := range []struct {
		names string
		ok    bool
	}{
		{"a", true}, {"a b/ü.txt|a b/c", true}, {"a/b|c|a/d", true}, {"-rf", true}, {".hidden", true},
		{"", false}, {".", false}, {"..", false}, {"../a", false}, {"a/../b", false}, {"/a", false}, {"a/", false}, {"a//b", false}, {"./a", false},
		{`a\b`, false}, {"C:a", false}, {"a\nb", false}, {"a\x00", false}, {"a\xff", false}, {strings.Repeat("x", 401), false},
		{"a|a", false}, {"a|a/b", false}, {"a/b|a", false}, {"a/b/c|a/b", false},
	} {
		var files []File
		for name := range strings.SplitSeq(c.names, "|") {
			files = append(files, File{Name: name, SHA256: sum})
		}
		if err := CheckFiles(files); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", c.names, err)
		}
	}
	for _, f := range []File{{"a", sum[1:], 0, false}, {"a", strings.ToUpper(sum), 0, false}, {"a", sum, -1, false}} {
		if CheckFiles([]File{f}) == nil {
			t.Errorf("%+v is taken", f)
		}
	}
	for out, ok := range map[string]bool{"*.txt": true, "out": true, "a/*/b?": true, "[": false, "../*": false, "/etc/*": false, "": false} {
		if err := (&Files{Out: []string{out}}).Validate(); (err == nil) != ok {
			t.Errorf("out %q: %v", out, err)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{"a/b", "../x", `..\x`, "/", "a/./b", "NUL"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckFileName(name) == nil && (!filepath.IsLocal(name) || !strings.HasPrefix(filepath.Join("/base", name), "/base/")) {
			t.Errorf("%q leads out", name)
		}
	})
}
