package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// TestFiles sends a large file to three devices and has it come back, over connections that are cut twice on each way: only what is missing is sent again.
// Another task with the same file has nothing sent at all.
func TestFiles(t *testing.T) {
	l := begin(t, "files")
	size, spare := int64(32<<20), int64(6<<20) // what was on the wire when it was cut may have to be sent again
	if l.full {
		size = 200 << 20
	}
	r := newRig(t, build(t), times{time.Minute, 5 * time.Minute}, 200*time.Millisecond)
	weather := weather{pace: int(size)} // a second and more for each transfer: long enough to be cut
	sender := newProxy(t, r.options.Main)
	sender.set(weather)
	proxies := []*proxy{sender}
	for i := range 3 {
		p := newProxy(t, r.options.Main)
		p.set(weather)
		proxies = append(proxies, p)
		r.work(fmt.Sprint("w", i+1), 1, 200*time.Millisecond, p.address())
	}
	r.online()
	path, sum := randomFile(t, r.path("big"), size)
	in := task.File{Name: "big", SHA256: sum, Size: size}

	o := r.options
	o.Main = sender.address()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cutTwice(t, sender, 1, size, func() {
		open := func() (io.ReadSeekCloser, error) { return os.Open(path) }
		if err := c.SendFile(t.Context(), &in, open, nil); err != nil {
			t.Error(err)
		}
	})
	var worst int64
	over := func(p *proxy, way int, began int64) {
		extra := p.carried[way].Load() - began - size
		worst = max(worst, extra)
		if extra > spare+size/50 {
			t.Errorf("%d bytes were carried for %d", extra+size, size)
		}
	}
	over(sender, 1, 0)

	run := func(script string, out ...string) []task.Task {
		var specs []task.Spec
		for i := range 3 {
			payload := fmt.Sprintf(`{"script":%q}`, script)
			specs = append(specs, task.Spec{Type: task.TypeShell, Payload: []byte(payload), Requirements: task.Requirements{Device: fmt.Sprint("w", i+1)},
				Provision: task.Provision{Files: &task.Files{In: []task.File{in}, Out: out}}})
		}
		return completed(t, r, specs)
	}
	var cuts sync.WaitGroup
	began := make([]int64, 4)
	for i, p := range proxies[1:] {
		began[i+1] = p.carried[0].Load()
		cuts.Go(func() { cutTwice(t, p, 0, size, func() {}) })
	}
	run("test $(sha256sum big | cut -d ' ' -f 1) = " + sum)
	cuts.Wait()
	for i, p := range proxies[1:] {
		over(p, 0, began[i+1])
		began[i+1] = p.carried[0].Load()
	}

	done := run("cp big result && chmod 700 result && echo x >>big", "result")
	for i, p := range proxies[1:] {
		if more := p.carried[0].Load() - began[i+1]; more > 256<<10 {
			t.Errorf("%d bytes were sent for a file that the device has", more)
		}
		got := done[i].Attempts[0].Files
		if len(got) != 1 || got[0] != (task.File{Name: "result", SHA256: sum, Size: size, Executable: true}) {
			t.Errorf("%+v came back", got)
		}
	}
	h := sha256.New()
	if err := c.FetchFile(t.Context(), &done[0].Attempts[0].Files[0], 0, h, nil); err != nil || hex.EncodeToString(h.Sum(nil)) != sum {
		t.Errorf("what is fetched is another file, %v", err)
	}
	l.report("bytes", size, "devices", 3, "cuts", 8, "sent_again", worst)
}

// cutTwice cuts all connections of a proxy when a third and two thirds of a transfer have passed.
func cutTwice(t *testing.T, p *proxy, way int, size int64, during func()) {
	t.Helper()
	began := p.carried[way].Load()
	var transfer sync.WaitGroup
	transfer.Go(during)
	for part := range int64(2) {
		if !waitFor(time.Minute, func() bool { return p.carried[way].Load()-began > (part+1)*size/3 }) {
			t.Error("the transfer does not get on")
		}
		p.reset()
	}
	transfer.Wait()
}

func randomFile(t *testing.T, path string, size int64) (name, sum string) {
	t.Helper()
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), rand.NewChaCha8([32]byte{7}), size); err != nil {
		t.Fatal(err)
	}
	return path, hex.EncodeToString(h.Sum(nil))
}

// completed submits tasks and waits until all of them are completed.
func completed(t *testing.T, r *rig, specs []task.Spec) (done []task.Task) {
	t.Helper()
	c := r.client()
	defer c.Close()
	s, err := c.Submit(t.Context(), specs, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range s.Tasks {
		var last task.Task
		waitFor(2*time.Minute, func() bool {
			last, err = c.Task(t.Context(), id.String())
			return err == nil && last.State.Ended()
		})
		if err != nil || last.State != task.Completed {
			t.Fatalf("%s is %s: %s, %v", id, last.State, last.Reason, err)
		}
		done = append(done, last)
	}
	return done
}
