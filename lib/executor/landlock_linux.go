package executor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock, by which a thread gives up rights on files, for itself and for all that it starts: userspace-api/landlock of the kernel's documentation. It is
// applied by hand, because a library has all threads of a process give them up, and the others of a helper are to see to its end.

const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landlockOfFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE

	landlockLeast = 3 // version from which on truncating is known, too: before that, a file could be emptied anywhere
	landlockScope = 6 // version from which on signals and abstract sockets can be kept within
)

// devices are what everybody may write to.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/shm", "/dev/dri", "/dev/kfd",
	"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidia1"}

// rules give rights on directories with all below them, and on files.
type rules struct {
	hidden []string // by the names that the kernel knows them by
	set    int      // as the kernel has them
	err    error
}

// landlockVersion is 0 where the kernel has none.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// restrict has this thread, and all that it starts, give up all rights but those of attempts whose private directories are in dir. There must be no new
// privileges for it.
func (s *Sandbox) restrict(dir string) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: landlockRead | landlockWrite}
	if landlockVersion() >= landlockScope {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(set))
	r := rules{set: int(set)}
	for _, h := range s.Hidden {
		r.hidden = append(r.hidden, real(h))
	}
	r.readable("/")
	r.allow(landlockRead, s.Readable...)
	r.allow(landlockWrite, devices...)
	if s.User != 0 { // their own terminals alone, then
		r.allow(landlockWrite, "/dev/pts")
	}
	r.allow(landlockRead|landlockWrite, s.Writable...)
	r.allow(landlockRead|landlockWrite, dir)
	if r.err != nil {
		return r.err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// readable lets all below a path be read that is not hidden: rights can be given, but not taken away again further below.
func (r *rules) readable(path string) {
	if slices.Contains(r.hidden, path) {
		return
	}
	below := strings.TrimSuffix(path, "/") + "/"
	if !slices.ContainsFunc(r.hidden, func(h string) bool { return strings.HasPrefix(h, below) }) {
		r.allow(landlockRead, path)
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil { // of what cannot be listed, only the way to what is hidden is known by name
		r.onlyWay(below)
		return
	}
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 { // what it leads to has a rule of its own
			r.readable(filepath.Join(path, e.Name()))
		}
	}
}

// onlyWay lets be read what can be on the way to what is hidden.
func (r *rules) onlyWay(below string) {
	for _, h := range r.hidden {
		if rest, ok := strings.CutPrefix(h, below); ok {
			name, _, _ := strings.Cut(rest, "/")
			r.readable(below + name)
		}
	}
}

// listed are the directories of which each entry has a rule of its own, and those in which what has one may be made, or made anew: what changes in them is not
// as the rules say before they are made anew.
func (s *Sandbox) listed() (dirs []string) {
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, h := range s.Hidden {
		for _, path := range []string{h, real(h)} {
			for path != "/" {
				path = filepath.Dir(path)
				add(path)
			}
		}
	}
	for _, path := range slices.Concat(s.Readable, s.Writable) {
		add(filepath.Dir(path))
	}
	return dirs
}

// real is the name that the kernel knows a file by, even if there is none yet: that of the directory in which it may be made, and the rest.
func real(path string) string {
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		if found, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(found, rest)
		}
		if dir == "/" || dir == "." {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// allow gives rights. What is not there needs none.
func (r *rules) allow(rights uint64, paths ...string) {
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			attr.Allowed_access &= landlockOfFiles
		}
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
		unix.Close(fd)
		if errno != 0 {
			r.err = fmt.Errorf("landlock_add_rule: %s: %w", path, errno)
		}
	}
}
