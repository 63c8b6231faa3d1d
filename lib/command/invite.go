package command

import (
	"context"
	"fmt"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type ctlInvite struct {
	Address []string     `placeholder:"HOST:PORT" help:"Where the device finds the main node; without it where the main node believes to be."`
	Expires cli.Duration `default:"24h" help:"How long the code is good."`
	Uses    int          `default:"1" placeholder:"N" help:"How many devices it is good for."`
	QR      bool         `name:"qr" help:"Print it as a QR code, for the camera of a phone."`
}

// Run makes a join code and prints it alone, so that it can be piped to the device.
func (i *ctlInvite) Run(ctx context.Context, ctl *Ctl, std cli.Std, env cli.Env) error {
	if i.Uses < 1 {
		return usage("--uses %d: a code is good for one device at the least", i.Uses)
	}
	return ctl.with(env, func(c *client.Client) error {
		made, err := c.Invite(ctx, wire.Invite{Addresses: i.Address, Expires: seconds(i.Expires), Uses: i.Uses})
		if err != nil {
			return err
		}
		if std.ErrTerminal() {
			fmt.Fprintf(std.Err, "on the device: rc-workerd --join CODE (good for %s until %s)\n", count(i.Uses, "device"), made.Expires.Local().Format("2006-01-02 15:04"))
		}
		if i.QR {
			picture, err := text.QR(made.Code)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(std.Out, picture)
			return err
		}
		return sayResult(std, made.Code)
	})
}
