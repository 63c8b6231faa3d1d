//go:build linux && cgo

package disk

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envMounts tells a process of the test that it may mount.
const envMounts = "RC_DISK_MOUNTS"

// TestStorage lets the real programs meet the faults of a disk: calls that fail, a full disk, one that may not be written to, files that
// may not grow. Nothing is acknowledged that is not there after the next start, and no start begins with nothing.
func TestStorage(t *testing.T) {
	openSources(t)
	if os.Getenv(envMounts) == "" && again(t) {
		return
	}
	seed := theSeed(t)
	y := new(tally)
	t.Run("Calls", func(t *testing.T) { testCalls(t, seed, y) })
	t.Run("Disks", func(t *testing.T) { testDisks(t, y) })
	fmt.Printf("LANE storage seed=%d faults=%d fired=%d tasks=%d false_acks=%d empty_starts=%d wrong_status=%d mounts=%v\n", seed, y.faults.Load(), y.fired.Load(),
		y.tasks.Load(), y.falseAcks.Load(), y.emptyStarts.Load(), y.wrongStatus.Load(), os.Getenv(envMounts) != "")
}

// testDisks runs what is there to be told of disks as a whole. They wait more than they compute, so they do it together.
func testDisks(t *testing.T, y *tally) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, *tally)
	}{
		{"WriteBack", testWriteBack}, {"Full", testFull}, {"FullSmall", testFullSmall}, {"FullStart", testFullStart},
		{"FileSize", testFileSize}, {"ReadOnly", testReadOnly}, {"Spool", testSpool},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.run(t, y)
		})
	}
}

// again runs the test in a process that has mounts of its own. Where the system does not allow that, what needs mounts is skipped, except
// where all is to be proven.
func again(t *testing.T) (done bool) {
	which := flag.Lookup("test.run").Value.String()
	if !strings.Contains(which, "/") { // else a part of this test is asked for
		which = "^TestStorage$"
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+which, "-test.v="+strconv.FormatBool(testing.Verbose()))
	cmd.Env = append(os.Environ(), envMounts+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Logf("this system allows no mounts of one's own: %v", err)
		return false
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in a process with mounts of its own: %v", err)
	}
	return true
}

// mounted is a disk of its own, of so many MiB.
func mounted(t *testing.T, size int) string {
	t.Helper()
	err := os.ErrPermission
	dir := t.TempDir()
	if os.Getenv(envMounts) != "" {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size))
	}
	switch {
	case err == nil:
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	case full():
		t.Fatalf("this needs a disk of its own: %v", err)
	default:
		t.Skipf("this needs a disk of its own: %v", err)
	}
	return dir
}

// fill takes what is free on a disk but for some KiB, and gives the file that takes it.
func fill(t *testing.T, dir string, but int64) string {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if size := int64(fs.Bavail)*fs.Bsize - but<<10; size > 0 {
		if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// judgeStart starts a main node on what another has left, holds it to what that said, and stops it.
func (y *tally) judgeStart(t *testing.T, what any, dir string, book *ledger) {
	t.Helper()
	d, err := mained(t, dir)
	if err != nil {
		t.Errorf("%v: %v", what, err)
		return
	}
	defer d.kill()
	if d.over() {
		y.blame(t, &y.wrongStatus, what, "the next start failed with %d:\n%s", d.status(), d.said.String())
		return
	}
	c, err := connect(dir)
	if err != nil {
		t.Errorf("%v: %v", what, err)
		return
	}
	defer c.Close()
	wrong, empty, err := book.missing(d.ctx, c)
	if err != nil {
		t.Errorf("%v: %v", what, err)
		return
	}
	if empty {
		y.blame(t, &y.emptyStarts, what, "the next start began with nothing")
	}
	for _, w := range wrong {
		y.blame(t, &y.falseAcks, what, "%s", w)
	}
	if status, err := d.stop(); status != 0 || err != nil {
		y.blame(t, &y.wrongStatus, what, "a main node without a fault ended with %d %v\n%s", status, err, d.said.String())
	}
	y.tasks.Add(int64(book.len()))
}

// testFileSize lets no file grow beyond a mebibyte.
func testFileSize(t *testing.T, y *tally) {
	y.faults.Add(1)
	dir, book := filepath.Join(t.TempDir(), "main"), newLedger()
	d, err := mainedBy(t, dir, []string{"sh", "-c", `ulimit -f 2048 && exec "$0" "$@"`, program(t, "rc-mained")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := connect(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.said.String())
	}
	defer c.Close()
	for i := 0; i < 1000 && book.submit(d.ctx, c, echo(strings.Repeat("x", 20_000))) == nil; i++ {
	}
	select {
	case <-d.gone:
		y.fired.Add(1)
		if d.status() != 75 || !strings.HasPrefix(d.lastWords(), "rc-mained: ") {
			y.blame(t, &y.wrongStatus, "ulimit -f", "ended with %d\n%s", d.status(), d.said.String())
		}
	case <-time.After(patience):
		y.blame(t, &y.wrongStatus, "ulimit -f", "did not end")
		d.kill()
	}
	y.judgeStart(t, "ulimit -f", dir, book)
}

// testWriteBack lets nothing be written into the database itself, as where that part of a flash is worn out. SQLite's own checkpoints keep such an error
// to themselves: everything is in the log and stays there. The main node must notice, before the log takes the whole disk.
func testWriteBack(t *testing.T, y *tally) {
	if !full() {
		t.Skip("this waits until the main node looks after its log; it is a part of the whole proof, RC_PROVE=full")
	}
	y.faults.Add(1)
	dir := filepath.Join(memory(t), "main")
	book := makePast(t, dir)
	d, err := mained(t, dir, "LD_PRELOAD="+library(t), envDir+"="+dir, "RC_DISK_FILE=cluster.db", "RC_DISK_FAULT=write:300:eio-always") // the start writes back what the last life left
	if err != nil || d.over() {
		t.Fatalf("%v\n%s", err, d.said.String())
	}
	c, err := connect(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 40 {
		if err := book.submit(d.ctx, c, nobodys(200_000), nobodys(200_000), nobodys(200_000), nobodys(200_000)); err != nil {
			break
		}
	}
	if ok, err := d.until("the main node's end", d.over); !ok || err != nil || d.status() != 75 {
		y.blame(t, &y.wrongStatus, "write back", "it did not end with 75, in spite of all errors: %v\n%s", err, d.said.String())
		d.kill()
	}
	y.fired.Add(1)
	y.judgeStart(t, "write back", dir, book)
}

// testReadOnly starts a main node on a disk that was mounted read-only, as a worn SD card is. That a disk becomes so while files on it are
// being written to cannot be made by mounting (the kernel refuses): testCalls lets the calls fail as they then do.
func testReadOnly(t *testing.T, y *tally) {
	disk := mounted(t, 16)
	y.faults.Add(1)
	dir := filepath.Join(disk, "main")
	book := makePast(t, dir)
	mount := func(flags uintptr) {
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, "size=16m"); err != nil {
			t.Fatalf("mount again: %v", err)
		}
	}
	mount(syscall.MS_RDONLY)
	d, err := mained(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !d.over() {
		y.blame(t, &y.wrongStatus, "read-only", "it started")
		d.kill()
	} else if s := d.status(); s != 75 && s != 78 || !strings.HasPrefix(d.lastWords(), "rc-mained: ") {
		y.blame(t, &y.wrongStatus, "read-only", "ended with %d\n%s", s, d.said.String())
	}
	y.fired.Add(1)
	mount(0)
	y.judgeStart(t, "read-only", dir, book)
}
