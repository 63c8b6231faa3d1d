package command

import (
	"context"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type ctlInvite struct {
	Address []string     `placeholder:"HOST:PORT" help:"Where the device finds the main node; without it where the main node believes to be."`
	Expires cli.Duration `default:"24h" help:"How long the code is good."`
}

// Run makes a join code and prints it alone, so that it can be piped to the device.
func (i *ctlInvite) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	return ctl.with(env, func(c *client.Client) error {
		made, err := c.Invite(ctx, wire.Invite{Addresses: i.Address, Expires: seconds(i.Expires)})
		if err != nil {
			return err
		}
		if std.ErrTerminal() {
			fmt.Fprintf(std.Err, "on the device: rc-workerd --join CODE (good for one device until %s)\n", made.Expires.Local().Format("2006-01-02 15:04"))
		}
		_, err = fmt.Fprintln(std.Out, made.Code)
		return err
	})
}
