package client

import (
	"context"
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
