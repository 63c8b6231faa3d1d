package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
)

// Main runs a command: it parses os.Args into cmd (a pointer to a struct with kong's tags and a method Run),
// runs it, and exits with its status. It is the only caller of os.Exit.
// The context that Run gets ends at the first SIGINT or SIGTERM, with a [*SignalError] as its cause;
// the second ends the process, unless Run called [Daemon].
func Main(name, about string, cmd any) {
	ctx := catchSignals(context.Background())
	std := Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	inv := newInvocation(name, about, os.Args[1:], os.LookupEnv, std)
	inv.process = true
	os.Exit(inv.report(ctx, inv.run(ctx, cmd)))
}

// Exec is Main without the exit and without signals, for tests and for commands that run inside another process.
// It returns the exit status. A nil env means no variables. Parsing resets every field of cmd that is a flag or an argument.
func Exec(ctx context.Context, name, about string, cmd any, args []string, env func(string) (string, bool), std Std) int {
	inv := newInvocation(name, about, args, env, std)
	return inv.report(ctx, inv.run(ctx, cmd))
}

// run parses and runs the command.
func (inv *invocation) run(ctx context.Context, cmd any) error {
	parsed, err := inv.parse(cmd)
	if err != nil {
		return err
	}
	log, keeps, err := inv.openLog(parsed)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, w := range inv.openSecrets(parsed) {
		if keeps {
			log.Warn(w)
		} else {
			fmt.Fprintf(inv.std.Err, "%s: warning: %s\n", inv.name, w)
		}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(inv.std, inv.env, log, log.Logger, inv.reparse(cmd))
	return parsed.Run()
}

// openLog gives the log that the command's [Logging] asks for, and one of warnings on stderr to a command that keeps none.
func (inv *invocation) openLog(parsed *kong.Context) (log *Log, keeps bool, err error) {
	type logging interface {
		Logger(Std, func(string) (string, bool)) (*Log, error)
	}
	for i := len(parsed.Path) - 1; i >= 0; i-- {
		node := parsed.Path[i].Node()
		if node == nil {
			continue
		}
		if l, ok := node.Target.Addr().Interface().(logging); ok {
			log, err = l.Logger(inv.std, inv.env)
			return log, true, err
		}
	}
	l := Logging{LogLevel: slog.LevelWarn}
	log, err = l.Logger(inv.std, inv.env)
	return log, false, err
}
