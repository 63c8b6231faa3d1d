package mainnode

import (
	"cmp"
	"maps"
	"reflect"
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
	s, err := c.clientSession(in, h)
	if err != nil {
		return err
	}
	s.id, s.from = in.Session, in.Address
	c.sessions[s.id] = s
	c.effects = append(c.effects, Effect{Session: s.id, Role: s.role, Who: standing{s.owner, s.who, s.from}, Message: wire.Message{Type: wire.TypeWelcome, ReplyTo: in.Message.ID, Body: wire.Welcome{
		Protocol: version, Software: c.self, MainNode: c.set.Name, Role: s.role}}})
	return nil
}

// clientSession is the session of a client, by its token, or as a user of this host who may reach the socket.
func (c *Core) clientSession(in *Input, h *wire.Hello) (*session, error) {
	if h.Token == "" && in.Local != "" {
		return &session{role: wire.RoleAdmin, principal: in.Local, who: "local " + in.Local, grant: cluster.Whole}, nil
	}
	t, err := c.token(h.Token)
	if err != nil {
		return nil, err
	}
	s := &session{role: wire.Role(t.Role), principal: cmp.Or(t.Parent, t.ID), token: t.ID, who: "token " + t.ID, grant: t.Grant, owner: t.Owner}
	switch t.Kind {
	case store.TokenKept:
		if s.role == wire.RoleSubmit {
			s.owner = t.ID
		}
	case store.TokenLogin:
		s.role = wire.RoleLogin
	case store.TokenSession:
		s.who = "session " + t.ID + " of token " + t.Parent
		c.usedSession(t)
	}
	return s, nil
}

// token finds whose token it is. All that can be wrong has one answer.
func (c *Core) token(text string) (store.Token, error) {
	t, err := wire.ParseToken(text)
	if err != nil {
		return store.Token{}, err
	}
	stored, ok := c.tokens[t.ID]
	if !wire.SameHash(stored.Hash, t.Hash()) || !ok || c.over(&stored) {
		return store.Token{}, wire.Errorf(wire.ErrAuth, "the token is wrong, revoked or too old")
	}
	return stored, nil
}

func (c *Core) makeToken(m *wire.MakeToken) (any, error) {
	role, err := wire.ParseClientRole(string(m.Role))
	if err != nil {
		return nil, err
	}
	if err := checkTokenName(m.Name); err != nil {
		return nil, err
	}
	if m.Expires < 0 || m.Expires > 100*365*day {
		return nil, wire.Errorf(wire.ErrField, "expires %d: seconds from now, at most a century, or 0 for never", m.Expires)
	}
	if role != wire.RoleSubmit && !reflect.DeepEqual(m.Grant, cluster.Grant{}) {
		return nil, wire.Errorf(wire.ErrField, "only tokens for submitting are bounded by exec, task_types, tags and rate")
	}
	if err := m.Grant.Validate(); err != nil {
		return nil, wire.Errorf(wire.ErrField, "token: %v", err)
	}
	t := wire.NewToken(role)
	c.keepToken(t, m.Name, m.Expires, m.Grant)
	c.event(cluster.Event{Kind: cluster.TokenMade, Reason: string(role) + " " + t.ID})
	return wire.TokenMade{ID: t.ID, Token: t.String(), Fingerprint: c.fingerprint}, nil
}

func checkTokenName(name string) error {
	if len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return wire.Errorf(wire.ErrField, "name: at most 100 bytes without control characters")
	}
	return nil
}

func (c *Core) keepToken(t wire.Token, name string, expires int64, grant cluster.Grant) {
	stored := store.Token{ID: t.ID, Role: string(t.Role), Name: name, Hash: t.Hash(), Created: c.now, Grant: grant}
	if t.Role == wire.RoleAdmin {
		stored.Grant = cluster.Whole
	}
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
		info := wire.TokenInfo{ID: t.ID, Role: wire.Role(t.Role), Name: t.Name, Created: t.Created, Kind: string(t.Kind), Parent: t.Parent}
		if info.Role == wire.RoleSubmit {
			info.Grant = t.Grant
		}
		if !t.Used.IsZero() {
			info.Used = &t.Used
		}
		if !t.Expires.IsZero() {
			info.Expires = &t.Expires
		}
		l.Tokens = append(l.Tokens, info)
	}
	return l
}

// revokeToken ends a token and the sessions that came with it.
func (c *Core) revokeToken(m *wire.RevokeToken) error {
	t, ok := c.tokens[m.ID]
	if !ok {
		return wire.Errorf(wire.ErrConflict, "revoke: no token has the id %.20q; rc-ctl token list shows them", m.ID)
	}
	c.event(cluster.Event{Kind: cluster.TokenRevoked, Reason: m.ID})
	c.dropToken(m.ID)
	for _, id := range slices.Sorted(maps.Keys(c.tokens)) { // and what speaks for it
		if c.tokens[id].Parent == m.ID {
			c.dropToken(id)
		}
	}
	if t.Name == hostTokenName && c.storage == storageOK { // others may know it; who is at this host is not to be locked out
		c.effects = append(c.effects, Effect{Host: c.adminToken("")})
	}
	return nil
}

// dropToken forgets a token, and ends the sessions that came with it.
func (c *Core) dropToken(id string) {
	delete(c.tokens, id)
	delete(c.rates, id)
	c.batch.RevokeToken(id)
	c.endSessions(id)
}

// endSessions ends the sessions that came with a token.
func (c *Core) endSessions(token string) {
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		if s := c.sessions[id]; s.device == nil && s.token == token {
			delete(c.sessions, id)
			c.effects = append(c.effects, Effect{Session: id, Close: true})
		}
	}
}

// over says whether a token's time is over.
func (c *Core) over(t *store.Token) bool {
	parent, spoken := c.tokens[t.Parent]
	return !t.Expires.IsZero() && c.now.After(t.Expires) || t.Kind == store.TokenSession && c.now.Sub(t.Used) > sessionIdle || spoken && c.over(&parent)
}

// expireTokens ends the sessions of tokens whose time is over. Those that somebody keeps are listed still.
func (c *Core) expireTokens() {
	for id, t := range c.tokens {
		if !c.over(&t) {
			continue
		}
		if t.Kind == store.TokenKept {
			c.endSessions(id)
		} else {
			c.dropToken(id)
		}
	}
}

const day = 24 * 60 * 60 // seconds

const maxUses = 1000 // of one join code

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
	if m.Uses < 0 || m.Uses > maxUses {
		return nil, wire.Errorf(wire.ErrField, "uses %d: a code is good for between 1 and %d devices", m.Uses, maxUses)
	}
	code := wire.NewJoinCode(addresses, c.fingerprint)
	i := store.Invite{ID: code.ID, Hash: code.Hash(), Uses: max(m.Uses, 1), Expires: c.now.Add(time.Duration(m.Expires) * time.Second)}
	c.invites[i.ID] = i
	c.batch.Invite(i)
	c.event(cluster.Event{Kind: cluster.InviteMade, Reason: code.ID})
	return wire.Invited{Code: code.String(), Expires: i.Expires.UTC()}, nil
}
