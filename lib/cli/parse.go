package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// invocation is one call of a command: what is needed to parse it, once or again.
type invocation struct {
	name, about string
	args        []string
	env         Env
	std         Std
	process     bool // args are those of this process, which others can read
}

func newInvocation(name, about string, args []string, env Env, std Std) *invocation {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &invocation{name: name, about: about, args: slices.Clone(args), env: env, std: std.OrEmpty()}
}

// parse fills cmd from flags, environment and file.
func (inv *invocation) parse(cmd any) (*kong.Context, error) {
	parser, err := inv.parser(cmd)
	if err != nil {
		return nil, Exit(Internal, fmt.Errorf("describe the flags: %w", err))
	}
	parsed, err := parser.Parse(inv.args)
	return parsed, inv.usage(err)
}

func (inv *invocation) parser(cmd any) (*kong.Kong, error) {
	s := newSettings(inv)
	return kong.New(cmd,
		kong.Name(inv.name),
		kong.Description(inv.about),
		kong.Writers(inv.std.Out, inv.std.Err),
		kong.NoDefaultHelp(),
		kong.Embed(new(builtin)),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.PostBuild(s.takeVariables),
		kong.Resolvers(s),
		kong.Bind(inv, s),
	)
}

// usage makes what kong found one line with the status for wrong usage.
// An error that has a status of its own, or is not about usage, stays as it is.
func (inv *invocation) usage(err error) error {
	if err == nil || errors.Is(err, errDone) || outputClosed(err) {
		return err
	}
	if e, ok := errors.AsType[*settingError](err); ok {
		return e
	}
	type status interface {
		error
		ExitStatus() int
	}
	if e, ok := errors.AsType[status](err); ok {
		return e
	}
	text, nearest, found := strings.Cut(err.Error(), ", did you mean ")
	if found {
		text += ", did you mean " + strings.ReplaceAll(nearest, `"`, "")
	}
	return Exit(Usage, fmt.Errorf("%s (see %s --help)", text, inv.name))
}

// decodeString takes an argument byte for byte. Kong's own way goes through JSON, which spoils what is not UTF-8.
func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	text, ok := token.Value.(string)
	if !ok {
		return fmt.Errorf("expected a string but got %v", token.Value)
	}
	target.SetString(text)
	return nil
}

// errDone ends parsing early and well: the help or the version was printed.
var errDone = errors.New("done")

// builtin are the flags of every command.
type builtin struct {
	Help    helpFlag    `short:"h" env:"-" builtin:"" help:"Show this help."`
	Version versionFlag `env:"-" builtin:"" help:"Show the version."`
}

type helpFlag bool

// IgnoreDefault tells kong to show the help of the command itself, not of its default sub-command.
func (helpFlag) IgnoreDefault() {}

// BeforeReset prints the help.
func (helpFlag) BeforeReset(parsed *kong.Context, inv *invocation, s *settings) error {
	if err := inv.writeHelp(parsed, s); err != nil {
		return err
	}
	return errDone
}

type versionFlag bool

// IgnoreDefault is as helpFlag's.
func (versionFlag) IgnoreDefault() {}

// BeforeReset prints the version.
func (versionFlag) BeforeReset(inv *invocation) error {
	if _, err := fmt.Fprintln(inv.std.Out, inv.name, Version); err != nil {
		return err
	}
	return errDone
}
