//go:build linux && amd64

package testscripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const wine = "/usr/lib/wine/wine64"

// prng stands for a library of Windows without which no Go program starts, and that this wine does not have.
const prng = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }
`

// TestWine runs the worker for Windows.
func TestWine(t *testing.T) {
	cc, err := exec.LookPath("x86_64-w64-mingw32-gcc")
	if _, e := os.Stat(wine); e != nil || err != nil {
		t.Skip("wine and a compiler for it are needed (apt-get install wine wine64 gcc-mingw-w64-x86-64-win32)")
	}
	openSources(t)
	bin, there, wrap := t.TempDir(), t.TempDir(), t.TempDir()
	build(t, bin)
	prefix := filepath.Join(there, "prefix")
	env := append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=bcryptprimitives=n;mscoree,mshtml=")
	run := func(env []string, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run(append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64"), "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", there+"/", "../cmd/rc-workerd")
	source := filepath.Join(there, "prng.c")
	if err := os.WriteFile(source, []byte(prng), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endAll(t, "WINEPREFIX="+prefix) }) // its servers go on by themselves, and write files until they are gone
	run(env, wine, "wineboot", "--init")
	run(env, cc, "-shared", "-o", filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"), source, "-ladvapi32")
	script := "#!/bin/sh\nexport WINEPREFIX='" + prefix + "' WINEDEBUG=-all WINEDLLOVERRIDES='bcryptprimitives=n;mscoree,mshtml='\nexec " + wine + " '" + filepath.Join(there, "rc-workerd.exe") + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(wrap, "rc-workerd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:      "windows",
		Setup:    func(e *testscript.Env) error { return setupForeign(e, bin, wrap) },
		Cmds:     commands,
		Deadline: time.Now().Add(5 * time.Minute),
	})
}

// endAll ends the processes that have a variable in their environment, and returns when there is none left.
func endAll(t *testing.T, variable string) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := 0
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range environs {
			b, err := os.ReadFile(file)
			pid, e := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil || e != nil || !slices.Contains(strings.Split(string(b), "\x00"), variable) {
				continue
			}
			left++
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d processes with %s do not end", left, variable)
			return
		}
	}
}
