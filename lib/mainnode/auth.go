package mainnode

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// hello begins a session: a worker's where a certificate was shown, else a client's.
func (c *Core) hello(in *Input, h *wire.Hello) error {
	version, err := wire.Spoken.Common(h.Protocol)
	if err != nil {
		return err
	}
	if c.sessions[in.Session] != nil {
		return wire.Errorf(wire.ErrConflict, "hello: said already")
	}
	if h.Token == "" && in.Fingerprint != "" {
		if h.Files {
			return c.helloFiles(in, version)
		}
		return c.helloWorker(in, version, h)
	}
	t, err := c.token(h.Token)
	if err != nil {
		return err
	}
	s := &session{id: in.Session, role: wire.Role(t.Role), principal: t.ID}
	c.sessions[s.id] = s
	c.effects = append(c.effects, Effect{Session: s.id, Role: s.role, Message: wire.Message{Type: wire.TypeWelcome, ReplyTo: in.Message.ID, Body: wire.Welcome{
		Protocol: version, Software: c.self, MainNode: c.set.Name, Role: s.role}}})
	return nil
}

// knownToken is a token of the store with its role's rights.
type knownToken struct{ store.Token }

func (t knownToken) May(need wire.Role) bool { return wire.Role(t.Role).May(need) }

// token finds whose token it is. All that can be wrong has one answer.
func (c *Core) token(text string) (knownToken, error) {
	t, err := wire.ParseToken(text)
	if err != nil {
		return knownToken{}, err
	}
	stored, ok := c.tokens[t.ID]
	if !wire.SameHash(stored.Hash, t.Hash()) || !ok || !stored.Expires.IsZero() && c.now.After(stored.Expires) {
		return knownToken{}, wire.Errorf(wire.ErrAuth, "the token is wrong, revoked or too old")
	}
	return knownToken{stored}, nil
}

func (c *Core) makeToken(m *wire.MakeToken) (any, error) {
	role, err := wire.ParseClientRole(string(m.Role))
	if err != nil {
		return nil, err
	}
	if len(m.Name) > 100 || strings.ContainsFunc(m.Name, func(r rune) bool { return r < ' ' }) {
		return nil, wire.Errorf(wire.ErrField, "name: at most 100 bytes without control characters")
	}
	if m.Expires < 0 || m.Expires > 100*365*day {
		return nil, wire.Errorf(wire.ErrField, "expires %d: seconds from now, at most a century, or 0 for never", m.Expires)
	}
	t := wire.NewToken(role)
	c.keepToken(t, m.Name, m.Expires)
	c.event(cluster.Event{Kind: cluster.TokenMade, Reason: string(role) + " " + t.ID})
	return wire.TokenMade{ID: t.ID, Token: t.String(), Fingerprint: c.fingerprint}, nil
}

func (c *Core) keepToken(t wire.Token, name string, expires int64) {
	stored := store.Token{ID: t.ID, Role: string(t.Role), Name: name, Hash: t.Hash(), Created: c.now}
	if expires > 0 {
		stored.Expires = c.now.Add(time.Duration(expires) * time.Second)
	}
	c.tokens[t.ID] = stored
	c.batch.Token(stored)
}

func (c *Core) listTokens() wire.TokenList {
	l := wire.TokenList{Tokens: []wire.TokenInfo{}}
	for _, id := range slices.Sorted(maps.Keys(c.tokens)) {
		t := c.tokens[id]
		info := wire.TokenInfo{ID: t.ID, Role: wire.Role(t.Role), Name: t.Name, Created: t.Created}
		if !t.Expires.IsZero() {
			info.Expires = &t.Expires
		}
		l.Tokens = append(l.Tokens, info)
	}
	return l
}

// revokeToken ends a token and the sessions that came with it.
func (c *Core) revokeToken(m *wire.RevokeToken) error {
	if _, ok := c.tokens[m.ID]; !ok {
		return wire.Errorf(wire.ErrConflict, "revoke: no token has the id %.20q; rc-ctl token list shows them", m.ID)
	}
	delete(c.tokens, m.ID)
	c.batch.RevokeToken(m.ID)
	c.event(cluster.Event{Kind: cluster.TokenRevoked, Reason: m.ID})
	c.endSessions(m.ID)
	return nil
}

// endSessions ends the sessions that came with a token.
func (c *Core) endSessions(token string) {
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		if s := c.sessions[id]; s.device == nil && s.principal == token {
			delete(c.sessions, id)
			c.effects = append(c.effects, Effect{Session: id, Close: true})
		}
	}
}

// expireTokens ends the sessions of tokens whose time is over.
func (c *Core) expireTokens() {
	for _, id := range slices.Sorted(maps.Keys(c.tokens)) {
		if t := c.tokens[id]; !t.Expires.IsZero() && c.now.After(t.Expires) {
			c.endSessions(id)
		}
	}
}

const day = 24 * 60 * 60 // seconds

func (c *Core) invite(m *wire.Invite) (any, error) {
	addresses := m.Addresses
	if len(addresses) == 0 {
		addresses = c.addresses
	}
	if len(addresses) > 16 {
		return nil, wire.Errorf(wire.ErrField, "%d addresses: at most 16", len(addresses))
	}
	for _, a := range addresses {
		if err := wire.CheckAddress(a); err != nil {
			return nil, err
		}
	}
	if m.Expires < 0 || m.Expires > 365*day {
		return nil, wire.Errorf(wire.ErrField, "expires %d: seconds, at most a year", m.Expires)
	}
	if m.Expires == 0 {
		m.Expires = day
	}
	code := wire.NewJoinCode(addresses, c.fingerprint)
	i := store.Invite{ID: code.ID, Hash: code.Hash(), Expires: c.now.Add(time.Duration(m.Expires) * time.Second)}
	c.invites[i.ID] = i
	c.batch.Invite(i)
	c.event(cluster.Event{Kind: cluster.InviteMade, Reason: code.ID})
	return wire.Invited{Code: code.String(), Expires: i.Expires.UTC()}, nil
}
