package client

import (
	"context"
	"iter"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Cancel ends the selected tasks that are not over, and says how many those were.
func (c *Client) Cancel(ctx context.Context, s wire.Select) (int, error) {
	var n wire.Selected
	err := c.ask(ctx, wire.TypeCancel, &s, &n)
	return n.Count, err
}

// Retry puts the selected tasks that failed, timed out or were cancelled back into the queue, and says how many those were.
func (c *Client) Retry(ctx context.Context, s wire.Select) (int, error) {
	var n wire.Selected
	err := c.once(ctx, wire.TypeRetry, &s, &n)
	return n.Count, err
}

// Drain lets a device finish what it has and gives it nothing new. What it has not finished within that time goes elsewhere; 0: it has
// all the time. Errors: device.ErrNotFound.
func (c *Client) Drain(ctx context.Context, device string, within time.Duration) error {
	return c.ask(ctx, wire.TypeDrain, &wire.NameDevice{Device: device, Within: within.Seconds()}, nil)
}

// Undrain lets a device take tasks again. Errors: device.ErrNotFound.
func (c *Client) Undrain(ctx context.Context, device string) error {
	return c.ask(ctx, wire.TypeUndrain, &wire.NameDevice{Device: device}, nil)
}

// Wake wakes a device that sleeps. That it was told so does not say that it heard. Errors: device.ErrNotFound, wire.ErrConflict.
func (c *Client) Wake(ctx context.Context, device string) error {
	return c.ask(ctx, wire.TypeWake, &wire.NameDevice{Device: device}, nil)
}

// Remove takes a device out of the cluster; to come back it needs a new join code. Errors: device.ErrNotFound.
func (c *Client) Remove(ctx context.Context, device string) error {
	return c.once(ctx, wire.TypeRemove, &wire.NameDevice{Device: device}, nil)
}

// Invite makes a join code for one device: a secret.
func (c *Client) Invite(ctx context.Context, i wire.Invite) (wire.Invited, error) {
	var made wire.Invited
	err := c.once(ctx, wire.TypeInvite, &i, &made)
	return made, err
}

// MakeToken makes a client's token: a secret that is seen only here.
func (c *Client) MakeToken(ctx context.Context, t wire.MakeToken) (wire.TokenMade, error) {
	var made wire.TokenMade
	err := c.once(ctx, wire.TypeTokenMake, &t, &made)
	return made, err
}

// Tokens lists the clients' tokens, without their secrets.
func (c *Client) Tokens(ctx context.Context) ([]wire.TokenInfo, error) {
	var l wire.TokenList
	err := c.ask(ctx, wire.TypeTokenList, nothing{}, &l)
	return l.Tokens, err
}

// RevokeToken ends a token by its id, and the connections that came with it. Errors: wire.ErrConflict.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.once(ctx, wire.TypeTokenRevoke, &wire.RevokeToken{ID: id}, nil)
}

// Approve lets a device in that has joined and waits for that. Errors: device.ErrNotFound, wire.ErrConflict.
func (c *Client) Approve(ctx context.Context, device string) error {
	return c.once(ctx, wire.TypeApprove, &wire.NameDevice{Device: device}, nil)
}

// MakeLogin makes a code, good for some minutes, with which a browser logs in once and then speaks for this client: a secret.
func (c *Client) MakeLogin(ctx context.Context, l wire.MakeLogin) (wire.LoginMade, error) {
	var made wire.LoginMade
	err := c.once(ctx, wire.TypeLoginMake, &l, &made)
	return made, err
}

// Login makes a session's token, a secret, of a code that this client has in the place of a token. The code is used up.
func (c *Client) Login(ctx context.Context) (wire.LoggedIn, error) {
	var in wire.LoggedIn
	err := c.once(ctx, wire.TypeLogin, nothing{}, &in)
	return in, err
}

// Logout ends the session whose token this client has.
func (c *Client) Logout(ctx context.Context) error {
	return c.once(ctx, wire.TypeLogout, nothing{}, nil)
}

// RotateKey gives the main node another key. The one until now is good beside it for a while, in which devices learn the new one. While the
// one before that is still good it is refused, unless force is set: devices that know only that one would be lost.
func (c *Client) RotateKey(ctx context.Context, within time.Duration, force bool) (wire.KeyRotated, error) {
	var done wire.KeyRotated
	err := c.once(ctx, wire.TypeRotateKey, &wire.RotateKey{Within: int64(within.Seconds()), Force: force}, &done)
	return done, err
}

// Audit are the lines of the audit log that f asks for, as Events are: with Follow also those that will come.
func (c *Client) Audit(ctx context.Context, f wire.FollowAudit) iter.Seq2[wire.Audited, error] {
	return func(yield func(wire.Audited, error) bool) {
		f := f
		each := func(m *wire.Message) error {
			var a wire.Audited
			if err := m.Decode(&a); err != nil {
				return wire.NewError(err)
			}
			if a.Seq <= f.After {
				return nil
			}
			f.After, f.Last = a.Seq, 0
			return enough(!yield(a, nil))
		}
		end := func(m *wire.Message) (bool, error) { return !f.Follow, reply(m, wire.TypeAck, nil) }
		if err := c.run(ctx, &stream{wire.TypeFollowAudit, &f, wire.TypeAudited, each, end, f.Follow}); err != nil {
			yield(wire.Audited{}, err)
		}
	}
}
