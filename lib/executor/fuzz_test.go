package executor

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// FuzzLeft looks for what patterns name in a directory from which links lead out. What is found is a file in it, has a name that can be brought back, and
// is matched by a pattern or below what is.
func FuzzLeft(f *testing.F) {
	for _, p := range []string{"*", "*/*", "out/*.csv", "../*", "/etc/passwd", "link/secret", "loop/loop/a.txt", "[a-z].txt", "[", "\\*", "a.txt/..", ".", "..", "dir//b", "dir/"} {
		f.Add(p)
	}
	parent := f.TempDir()
	dir := filepath.Join(parent, "attempt")
	for name, text := range map[string]string{"secret": "s", "attempt/a.txt": "a", "attempt/dir/b.csv": "b", "attempt/dir/deep/c": "c", "attempt/*": "star", "attempt/-x": "dash"} {
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			f.Skip(err) // of a system on which no file may be called so
		}
	}
	for link, to := range map[string]string{"link": "..", "out": parent, "loop": ".", "self": "self", "file": "../secret", "inner": "dir/b.csv"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			f.Skip(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { root.Close() })
	f.Fuzz(func(t *testing.T, pattern string) {
		names, missing, err := Left(root, []string{pattern, "a.txt"})
		if err != nil {
			return
		}
		if !slices.Contains(names, "a.txt") || slices.Contains(missing, "a.txt") || !slices.IsSorted(names) {
			t.Fatalf("%q: %q, missing %q", pattern, names, missing)
		}
		for _, name := range names {
			b, err := root.ReadFile(filepath.FromSlash(name))
			if err != nil || !slices.Contains([]string{"a", "b", "c", "star", "dash"}, string(b)) {
				t.Fatalf("%q found %q: %q, %v", pattern, name, b, err)
			}
			if !fs.ValidPath(name) || (&task.Files{Out: []string{pattern}}).Validate() == nil && task.CheckFileName(name) != nil {
				t.Fatalf("%q found %q, which cannot be brought back", pattern, name)
			}
		}
	})
}

// FuzzCustomName asks for types of tasks by any name: the file is in tasks.d, and no built-in type.
func FuzzCustomName(f *testing.F) {
	for _, s := range []string{"render", "../x", "a/b", ".hidden", "x.tmp", "shell", "", "a..b", "A", "a\x00"} {
		f.Add(s)
	}
	x := &Executor{options: Options{TasksDir: "/tasks.d"}}
	f.Fuzz(func(t *testing.T, name string) {
		if !isCustomName(name) {
			return
		}
		if file := x.customFile(name); filepath.Dir(file) != filepath.Clean("/tasks.d") || filepath.Base(file) != name || isBuiltin(name) || name[0] == '.' {
			t.Fatalf("%q is the file %q", name, file)
		}
	})
}

// FuzzPublic checks that an address is as public as the IPv4 address that it stands for, and that what only this network reaches never is.
func FuzzPublic(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "10.1.2.3", "8.8.8.8", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:192.168.0.1", "64:ff9b::a00:1", "2001:db8::1", "fd00::1", "0.0.0.0", "255.255.255.255"} {
		f.Add(s)
	}
	never := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("ff00::/8")}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return
		}
		public := isPublic(a)
		for _, p := range never {
			if public && p.Contains(a.Unmap().WithZone("")) {
				t.Fatalf("%s is public", a)
			}
		}
		if a.Is4() {
			b := a.As4()
			nat := netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], b[1], b[2], b[3]})
			if mapped := netip.AddrFrom16(a.As16()); isPublic(mapped) != public || isPublic(nat) != public {
				t.Fatalf("%s: %v, as %s %v, as %s %v", a, public, mapped, isPublic(mapped), nat, isPublic(nat))
			}
		}
		if err := refusePrivate("tcp", netip.AddrPortFrom(a, 80).String(), nil); (err == nil) != public {
			t.Fatalf("%s: %v", a, err)
		}
	})
}
