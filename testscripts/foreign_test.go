//go:build linux

package testscripts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// Devices that this one is not: the worker runs as a program of another architecture, with no more of the system than an app of Android has, or where
// nothing is in /etc. Each has to complete every type of task.

// foreign are the workers: how rc-workerd, which is at $1, is started there.
var foreign = []struct {
	name, arch, arm string
	needs           string // program
	root            bool
	start           string
}{
	{name: "arm64", arch: "arm64", needs: "qemu-aarch64-static", start: `exec qemu-aarch64-static "$@"`},
	{name: "armv6", arch: "arm", arm: "6", needs: "qemu-arm-static", start: `exec qemu-arm-static "$@"`},
	{name: "armv7", arch: "arm", arm: "7", needs: "qemu-arm-static", start: `exec qemu-arm-static "$@"`},
	{name: "riscv64", arch: "riscv64", needs: "qemu-riscv64-static", start: `exec qemu-riscv64-static "$@"`},
	{name: "android", arch: runtime.GOARCH, needs: "sh", start: `ANDROID_ROOT=/system PREFIX=$WORK/usr exec "$tests" ` + androidMark + ` "$@"`},
	{name: "noetc", arch: runtime.GOARCH, needs: "unshare", root: true, start: `exec unshare -m sh -c 'mount -t tmpfs none /etc && exec "$@"' sh "$@"`},
}

func TestForeign(t *testing.T) {
	openSources(t)
	bin := t.TempDir()
	build(t, bin)
	addTools(t, bin)
	for _, f := range foreign {
		t.Run(f.name, func(t *testing.T) {
			if _, err := exec.LookPath(f.needs); err != nil {
				t.Skipf("%s is needed (apt-get install qemu-user-static)", f.needs)
			}
			if f.root && os.Getuid() != 0 {
				t.Skip("only root can do without /etc")
			}
			there := t.TempDir()
			buildForeign(t, there, f.arch, f.arm)
			wrap := t.TempDir()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\ntests='" + self + "'\nset -- '" + filepath.Join(there, "rc-workerd") + "' \"$@\"\n" + f.start + "\n"
			if err := os.WriteFile(filepath.Join(wrap, "rc-workerd"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			testscript.Run(t, testscript.Params{
				Files:    []string{"types.txtar"},
				Setup:    func(e *testscript.Env) error { return setupForeign(e, bin, wrap) },
				Cmds:     commands,
				Deadline: time.Now().Add(5 * time.Minute),
			})
		})
	}
}

// buildForeign makes the worker as make dist does, whose objects it finds built.
func buildForeign(t *testing.T, dir, arch, arm string) {
	t.Helper()
	buildWorker(t, dir, []string{"GOARCH=" + arch, "GOARM=" + arm}, "-ldflags", "-s -w")
}

func buildWorker(t *testing.T, dir string, env []string, flags ...string) {
	t.Helper()
	cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-tags", "nethttpomithttp2", "-o", dir + "/"}, flags, []string{"../cmd/rc-workerd"})...)
	cmd.Env = slices.Concat(os.Environ(), []string{"CGO_ENABLED=0"}, env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

func setupForeign(e *testscript.Env, bin, wrap string) error {
	if err := setup(e, bin); err != nil {
		return err
	}
	e.Setenv("PATH", wrap+":"+e.Getenv("PATH"))
	usr := filepath.Join(e.WorkDir, "usr", "bin") // what Termux has
	if err := os.MkdirAll(usr, 0o755); err != nil {
		return err
	}
	return os.Symlink("/bin/sh", filepath.Join(usr, "sh"))
}

// androidMark has this program run another under a filter of system calls like that of Android for apps.
const androidMark = "__android"

func init() {
	if len(os.Args) > 2 && os.Args[1] == androidMark {
		fmt.Fprintln(os.Stderr, "android:", runAsApp(os.Args[2:]))
		os.Exit(1)
	}
}

// runAsApp becomes a program that is killed by SIGSYS where an app would be. clone3 only fails, since programs of this system expect that it may.
func runAsApp(argv []string) error {
	runtime.LockOSThread()
	kills := []uint32{unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIDFD_OPEN, unix.SYS_CLOSE_RANGE, unix.SYS_OPENAT2, unix.SYS_PIDFD_GETFD, unix.SYS_FACCESSAT2,
		unix.SYS_EPOLL_PWAIT2, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_RESTRICT_SELF, unix.SYS_FCHMODAT2,
		unix.SYS_MOUNT, unix.SYS_CHROOT, unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS, unix.SYS_SETHOSTNAME}
	const number, trap, fails, allow = 0, 0x00030000, 0x00050000 | uint32(syscall.ENOSYS), 0x7fff0000
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	answer := func(call, what uint32) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1}, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what})
	}
	for _, call := range kills {
		answer(call, trap)
	}
	answer(unix.SYS_CLONE3, fails)
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: allow})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// TestFilter shows that the filter is one.
func TestFilter(t *testing.T) {
	if os.Getenv("RC_TEST_FILTERED") != "" {
		unix.PidfdOpen(os.Getpid(), 0)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, androidMark, self, "-test.run=^TestFilter$")
	cmd.Env = append(os.Environ(), "RC_TEST_FILTERED=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "SIGSYS") {
		t.Errorf("%v, %s", err, out)
	}
}
