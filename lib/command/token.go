package command

import (
	"context"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type ctlToken struct {
	Make   tokenMake   `cmd:"" help:"Make a token."`
	List   tokenList   `cmd:"" help:"List the tokens."`
	Revoke tokenRevoke `cmd:"" help:"End a token."`
}

type tokenMake struct {
	Role    string       `arg:"" enum:"read,submit,admin" help:"What it may do: read, submit or admin."`
	Name    string       `help:"Whose it is, for people."`
	Expires cli.Duration `default:"0s" help:"How long it is good; 0 for ever."`

	Exec bool     `group:"What a token for submitting may submit" help:"Also tasks that run programs: command, shell, python_eval, custom types."`
	Type []string `group:"What a token for submitting may submit" placeholder:"TYPE" help:"Tasks of this type and no others; may be repeated."`
	Tag  []string `group:"What a token for submitting may submit" placeholder:"TAG" help:"Only to devices with this tag; may be repeated."`
	Rate int      `group:"What a token for submitting may submit" placeholder:"N" default:"0" help:"So many tasks in a minute, over a long time; 0 any."`
}

// Run makes a token and prints it.
func (t *tokenMake) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	role, err := wire.ParseClientRole(t.Role)
	if err != nil {
		return cli.Exit(cli.Usage, err)
	}
	grant := cluster.Grant{Exec: t.Exec, Types: t.Type, Tags: t.Tag, Rate: t.Rate}
	if err := grant.Validate(); err != nil {
		return usage("%v", err)
	}
	return ctl.with(env, func(c *client.Client) error {
		made, err := c.MakeToken(ctx, wire.MakeToken{Role: role, Name: t.Name, Expires: seconds(t.Expires), Grant: grant})
		if err != nil {
			return err
		}
		if std.ErrTerminal() {
			say(std.Err, "elsewhere: save it as FILE (chmod 600), and --token-file FILE --pin %s --main HOST:PORT", made.Fingerprint)
		}
		return sayResult(std, made.Token)
	})
}

// seconds rounds up: what was asked for is never nothing, which would be for ever.
func seconds(d cli.Duration) int64 {
	return int64((time.Duration(d) + time.Second - 1) / time.Second)
}

type tokenList struct{ Output }

// Run lists the tokens.
func (t *tokenList) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error {
		list, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		tokens := make([]text.Token, len(list))
		for i, l := range list {
			tokens[i] = text.Token{ID: l.ID, Role: string(l.Role), Name: l.Name, Created: l.Created, Expires: l.Expires, Kind: l.Kind, Parent: l.Parent, Used: l.Used, Grant: l.Grant}
		}
		p := t.printer(std.Out, std, env)
		if err := p.Tokens(tokens); err != nil {
			return err
		}
		return p.Flush()
	})
}

type tokenRevoke struct {
	ID string `arg:"" help:"Id of the token, as rc-ctl token list has it."`
}

// Run revokes a token.
func (t *tokenRevoke) Run(ctx context.Context, ctl *Ctl, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error { return c.RevokeToken(ctx, t.ID) })
}
