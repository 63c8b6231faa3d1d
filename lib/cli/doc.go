// Package cli owns what all commands do alike: flags, environment and configuration file, exit status, signals, logs, help, version.
// It is for the rc- commands; its API may change in any release.
//
// A command is a struct with kong's tags and a method Run; begin with [Main]:
//
//	type greet struct {
//		Name string `arg:"" help:"Whom to greet."`
//	}
//
//	func (g *greet) Run(ctx context.Context, std cli.Std) error {
//		_, err := fmt.Fprintln(std.Out, "hello", g.Name)
//		return err
//	}
//
//	func main() { cli.Main("rc-greet", "Greet somebody.", new(greet)) }
//
// Run may take, in any order: context.Context, [Std], [Env], [Reparse], *[Log] and *slog.Logger.
//
// A setting has one name: the flag --log-level, the variable RC_GREET_LOG_LEVEL, the key log_level of the file.
// The flag wins over the variable, the variable over the file, the file over the default; an empty variable counts as unset.
package cli
