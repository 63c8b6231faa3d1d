package mainnode

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// lingerTime is how long it is waited for the other side to close: a connection that is closed with bytes unread may lose what was said last.
const lingerTime = time.Second

// plain answers one message of a client of the first Retire-Cluster, where such are let in.
func (n *Node) plain(ctx context.Context, raw net.Conn, r io.Reader) error {
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Now()) })()
	from := remote(raw)
	if !n.letsPlain(from) {
		err := wire.Errorf(wire.ErrForbidden, "plain JSON clients are disabled here; see rc-mained(8), --plain-from")
		n.refusedPlain(ctx, from.String(), "connect", err)
		return errors.Join(err, lastWord(raw, wire.FirstError(&wire.FirstMessage{}, time.Now(), err)))
	}
	b, err := wire.ReadFirst(r)
	var m wire.FirstMessage
	if err == nil {
		m, err = wire.ParseFirst(b)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = wire.Errorf(wire.ErrTimeout, "no whole message came in time")
	case err != nil && !isAnswer(err): // the connection is gone
		return err
	case errors.Is(err, wire.ErrField) && m.Type == wire.TypeRegister:
		n.refusedPlain(ctx, from.String(), m.Type, err)
	}
	if err != nil {
		return errors.Join(err, lastWord(raw, wire.FirstError(&m, time.Now(), err)))
	}
	answer, err := n.answerFirst(ctx, from.String(), &m)
	if err != nil {
		return err
	}
	return lastWord(raw, answer)
}

// answerFirst has the core decide. What it has decided is committed when there is an answer.
func (n *Node) answerFirst(ctx context.Context, from string, m *wire.FirstMessage) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, strangerTime)
	defer cancel()
	result := make(chan wire.FirstResult, 1)
	err := n.loop.ask(ctx, func(c *Core) { result <- c.first(from, m) })
	switch {
	case err != nil && isAnswer(err): // it was not committed
		return wire.FirstError(m, time.Now(), err), nil
	case err != nil:
		return nil, err
	}
	return wire.FirstAck(m, time.Now(), <-result), nil
}

// refusedPlain audits what was refused without the core.
func (n *Node) refusedPlain(ctx context.Context, from, what string, err error) {
	ctx, cancel := context.WithTimeout(ctx, strangerTime)
	defer cancel()
	if err := n.loop.ask(ctx, func(c *Core) { c.noteFirst(from, what, "", err) }); err != nil {
		n.log.Debug("cannot audit", "what", what, "from", from, "err", err)
	}
}

// letsPlain says whether connections without TLS are let in from an address.
func (n *Node) letsPlain(from netip.Addr) bool {
	for _, network := range n.plainFrom {
		if network.Contains(from) {
			return true
		}
	}
	return false
}

// remote is the address at the other side, one of IPv4 always as such.
func remote(raw net.Conn) netip.Addr {
	from, _ := netip.ParseAddrPort(raw.RemoteAddr().String())
	return from.Addr().Unmap().WithZone("")
}

// lastWord sends an answer in one write and lets the other side close first.
func lastWord(raw net.Conn, answer []byte) error {
	raw.SetDeadline(time.Now().Add(strangerTime))
	if _, err := raw.Write(answer); err != nil {
		return err
	}
	if half, ok := raw.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	raw.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, raw, wire.MaxFirst)
	return nil
}
