package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Submit is rc-submit.
type Submit struct {
	Spec
	Key     string `placeholder:"TEXT" help:"Submitted again with the same key, tasks are not taken twice."`
	Wait    bool   `short:"w" help:"Wait, print what the tasks print, end with their exit status."`
	Ordered bool   `help:"With --wait: print in the order of input."`
	Raw     bool   `help:"With --wait: print the bytes of tasks as they are on a terminal too, which they can then command."`
	Cluster
}

// Help is the end of rc-submit --help.
func (*Submit) Help() string {
	return `Without --wait it prints the id of each task on a line.
Examples:
  rc-submit -- ls -l
  rc-submit --wait --shell 'df -h | tail -1'
  ls *.flac | rc-submit --each --wait -- flac -t {}
  rc-submit --type python_eval --payload '{"expression":"2**100"}' --wait`
}

// noFiles refuses to read files that are not the user's.
func (s *Submit) noFiles() error {
	if len(s.In) > 0 {
		return s.fileOf(s.In[0])
	}
	if file, ok := strings.CutPrefix(s.Payload, "@"); ok {
		return s.fileOf(file)
	}
	if len(s.Secret) > 0 && s.host != nil {
		return cli.Exit(cli.NotPermitted, errors.New("--secret: there are no variables and no files here to read one from; the JSON API takes secrets, and rc-submit elsewhere"))
	}
	return nil
}

// Run submits, and with --wait waits.
func (s *Submit) Run(ctx context.Context, std cli.Std, env cli.Env) error {
	now := ctx
	if s.Wait {
		now = cli.Daemon(ctx) // so that a second Ctrl-C can still be told from the first
	}
	if (s.Ordered || s.Raw) && !s.Wait {
		return usage("--ordered and --raw go with --wait")
	}
	if err := s.noFiles(); err != nil {
		return err
	}
	if err := s.loadSecrets(env); err != nil {
		return err
	}
	specs, err := s.specs(std.In)
	if err != nil || len(specs) == 0 {
		return err
	}
	c, err := s.openPatiently(ctx, "rc-submit", env, sayOnce(std))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := s.found.send(ctx, c, std); err != nil {
		return err
	}
	done, err := c.Submit(ctx, specs, client.SubmitOptions{Key: s.Key})
	if err != nil {
		return partly(std, &done, len(specs), err)
	}
	if !s.Wait {
		return printIDs(std.Out, done.Tasks)
	}
	err = newWaiter(c, std, specs, &done, s.Ordered, s.Raw).run(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return detach(ctx, now, std, c, &done)
	}
	return err
}

// sayOnce tells a person that the main node is away and that this is why nothing happens.
func sayOnce(std cli.Std) func(error) {
	if !std.ErrTerminal() {
		return nil
	}
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			if std.ErrWidth == 0 { // else nothing is drawn over
				io.WriteString(std.Err, "\r\x1b[K")
			}
			say(std.Err, "rc-submit: %v (trying again)", err)
		})
	}
}

// partly says what was submitted before an error.
func partly(std cli.Std, done *client.Submitted, all int, err error) error {
	if n := len(done.Tasks); n > 0 {
		say(std.Err, "rc-submit: %d of %d tasks were submitted; the same with --key %s submits the rest", n, all, done.Key)
		if e := printIDs(std.Out, done.Tasks); e != nil {
			return e
		}
	}
	return err
}

func printIDs(w io.Writer, ids []task.ID) error {
	b := bufio.NewWriter(w)
	for _, id := range ids {
		b.WriteString(id.String())
		b.WriteByte('\n')
	}
	return b.Flush()
}

// secondChance is how long after a Ctrl-C another one cancels the tasks.
const secondChance = 2 * time.Second

// detach says how to come back to the tasks, and cancels them if it is asked for at once.
func detach(ctx, now context.Context, std cli.Std, c *client.Client, done *client.Submitted) error {
	cause, ok := errors.AsType[*cli.SignalError](context.Cause(ctx))
	if !ok {
		return ctx.Err()
	}
	begin, end := "", ""
	if cause.Signal == os.Interrupt && std.ErrTerminal() {
		begin, end = "\n", " (Ctrl-C again: cancel them)" // behind the ^C that the terminal shows
	}
	fmt.Fprintf(std.Err, "%src-submit: detached; the tasks go on. rc-status tasks --job %[2]s, rc-logs --job %[2]s, rc-ctl cancel --job %[2]s%[3]s\n", begin, done.Job, end)
	if cause.Signal != os.Interrupt {
		return cause
	}
	select {
	case <-now.Done():
	case <-time.After(secondChance):
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	n, err := c.Cancel(ctx, wire.Select{Jobs: []task.JobID{done.Job}})
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "rc-submit: %s cancelled\n", count(n, "task"))
	return cause
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
