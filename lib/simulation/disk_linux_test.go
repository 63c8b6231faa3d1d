package simulation

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	rcclient "github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func init() { schedules["the disk takes nothing"] = diskTakesNothing }

// diskTakesNothing is the one schedule that plays on the real loop of the main node rather than on the simulator's: that an answer leaves after
// its commit is the loop's part. The system lets no file grow, so that the commit fails.
func diskTakesNothing(w *world) {
	w.main.crash()
	dir := w.t.TempDir()
	n, err := mainnode.Open(w.t.Context(), dir, "rc-mained test", mainnode.Defaults(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer n.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	served := make(chan error, 1)
	go func() { served <- n.Serve(ctx, l) }()
	token, err := os.ReadFile(filepath.Join(dir, wire.FileToken))
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := rcclient.Dial(ctx, rcclient.Options{Main: l.Addr().String(), Pin: n.Fingerprint(), Token: strings.TrimSpace(string(token))})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close() // which ends the submission, if it still waits
	submit := func(most time.Duration) error {
		limited, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		_, err := c.Submit(limited, []task.Spec{{Type: task.TypeEcho}}, rcclient.SubmitOptions{})
		return err
	}
	if err := submit(10 * time.Second); err != nil {
		w.t.Fatal(err)
	}
	answered := make(chan error, 1)
	letGrow := noFileGrows(w)
	go func() { answered <- submit(time.Minute) }()
	select {
	case err = <-answered:
	case err = <-served: // the disk took nothing, so the main node has ended; what it said has left
		w.log("the main node: %v", err)
		served <- err
		select {
		case err = <-answered:
		case <-time.After(2 * time.Second): // long enough for an answer to be read, also where much else runs
		}
	}
	letGrow()
	cancel()
	<-served
	if err == nil {
		w.fail("R5: a submission was acknowledged that the disk did not take")
	}
}

// noFileGrows lets every write to a file fail until what it returns is called.
func noFileGrows(w *world) (letGrow func()) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		w.t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	none := was
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &none); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			w.t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}

func init() {
	mutants = append(mutants, mutant{
		name: "M2 an answer leaves before its commit", rule: "R5", schedule: "the disk takes nothing", finds: "R5",
		edits: []edit{{"lib/mainnode/loop.go", "	c := l.core\n	if !r.Batch.Empty() {\n", "	c := l.core\n	l.act(r.Effects)\n	if !r.Batch.Empty() {\n"}},
	})
}
