package mainnode

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/limit"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// A browser's session is a token that speaks for another one: it is listed and revoked as that is, and outlives a restart of whoever
// passes it on.

const (
	loginTime    = 5 * time.Minute
	sessionTime  = 7 * 24 * time.Hour
	sessionIdle  = 12 * time.Hour
	usedEvery    = 5 * time.Minute // a session's use is noted, so that a page that asks every second writes nothing
	mostSessions = 25              // of one token
	mostLogins   = 16              // codes of one token that nobody has used
)

// makeLogin makes a code that becomes a session, once.
func (c *Core) makeLogin(s *session, m *wire.MakeLogin) (any, error) {
	if kind := c.tokens[s.token].Kind; kind != store.TokenKept {
		return nil, wire.Errorf(wire.ErrForbidden, "login: a browser's session makes no other one")
	}
	role := s.role
	if m.Role != "" {
		role = m.Role
	}
	if _, err := wire.ParseClientRole(string(role)); err != nil {
		return nil, err
	}
	if !s.role.May(role) {
		return nil, wire.Errorf(wire.ErrForbidden, "login as %s: yours is the role %s", role, s.role)
	}
	if err := checkTokenName(m.Name); err != nil {
		return nil, err
	}
	if err := c.mayLogin(s); err != nil {
		return nil, err
	}
	code := wire.NewToken(wire.RoleLogin)
	t := store.Token{ID: code.ID, Role: string(role), Name: m.Name, Kind: store.TokenLogin, Parent: s.principal, Owner: s.owner, Grant: s.grant,
		Hash: code.Hash(), Created: c.now, Expires: c.now.Add(loginTime)}
	if role == wire.RoleSubmit {
		t.Owner = s.principal
	}
	c.tokens[t.ID] = t
	c.batch.Token(t)
	return wire.LoginMade{Code: code.String(), Expires: t.Expires.UTC()}, nil
}

// mayLogin refuses too many codes at a time.
func (c *Core) mayLogin(s *session) error {
	many := 0
	for _, t := range c.tokens {
		if t.Kind == store.TokenLogin && t.Parent == s.principal {
			many++
		}
	}
	if many >= mostLogins {
		return &wire.Error{Code: "E_RATE", RetryAfter: loginTime.Milliseconds(), Text: "login: too many codes that nobody has used yet"}
	}
	return nil
}

// fromLogin takes what is said with such a code: one thing, once.
func (c *Core) fromLogin(s *session, in *Input) (any, error) {
	if _, ok := in.Body.(*login); !ok {
		return nil, wire.Errorf(wire.ErrForbidden, "this code is good for logging in alone")
	}
	code := c.tokens[s.token]
	c.dropToken(code.ID)
	c.roomForSession(&code)
	token := wire.NewToken(wire.RoleBrowser)
	t := store.Token{ID: token.ID, Role: code.Role, Name: code.Name, Kind: store.TokenSession, Parent: code.Parent, Owner: code.Owner, Grant: code.Grant,
		Hash: token.Hash(), Created: c.now, Expires: c.now.Add(sessionTime), Used: c.now}
	if parent := c.tokens[t.Parent]; !parent.Expires.IsZero() && parent.Expires.Before(t.Expires) {
		t.Expires = parent.Expires
	}
	c.tokens[t.ID] = t
	c.batch.Token(t)
	reason := code.Role + " " + t.ID
	if t.Name != "" {
		reason += " (" + t.Name + ")"
	}
	c.event(cluster.Event{Kind: cluster.LoggedIn, Reason: reason})
	return wire.LoggedIn{Token: token.String(), ID: t.ID, Role: wire.Role(t.Role), Expires: t.Expires.UTC()}, nil
}

// roomForSession ends the sessions of a token that were not used for longest, where there are too many: of those of the same name first.
func (c *Core) roomForSession(code *store.Token) {
	var sessions []store.Token
	for _, t := range c.tokens {
		if t.Kind == store.TokenSession && t.Parent == code.Parent {
			sessions = append(sessions, t)
		}
	}
	slices.SortFunc(sessions, func(a, b store.Token) int {
		other := func(t store.Token) int { return map[bool]int{false: 0, true: 1}[t.Name != code.Name] }
		return cmp.Or(cmp.Compare(other(a), other(b)), a.Used.Compare(b.Used))
	})
	for len(sessions) >= mostSessions {
		c.dropToken(sessions[0].ID)
		sessions = sessions[1:]
	}
}

// usedSession notes that a session is used.
func (c *Core) usedSession(t store.Token) {
	if c.now.Sub(t.Used) >= usedEvery {
		t.Used = c.now
		c.tokens[t.ID] = t
		c.batch.Token(t)
	}
}

// logout ends the session's own token.
func (c *Core) logout(s *session) error {
	if c.tokens[s.token].Kind != store.TokenSession {
		return wire.Errorf(wire.ErrConflict, "logout: this is no browser's session; rc-ctl token revoke ends a token")
	}
	c.dropToken(s.token)
	return nil
}

// mayNow takes tasks from what a session's token may submit in a minute. What is more than that is paid for by waiting.
func (c *Core) mayNow(s *session, tasks int) error {
	most := s.grant.Rate
	if most == 0 {
		return nil
	}
	r := c.rates[s.principal]
	if r == nil {
		r = &limit.Bucket{}
		c.rates[s.principal] = r
	}
	if wait := r.Take(c.now, tasks, most, time.Minute/time.Duration(most)); wait > 0 {
		return &wire.Error{Code: "E_RATE", RetryAfter: max(wait.Milliseconds(), 1), Text: "this token may submit " + strconv.Itoa(most) + " tasks in a minute"}
	}
	return nil
}

// mayAll says whether a session may submit such tasks, and confines them to the devices of its grant.
func (c *Core) mayAll(s *session, m *wire.Submit) error {
	if s.role != wire.RoleSubmit {
		return nil
	}
	for i := range m.Tasks {
		t := &m.Tasks[i]
		if !s.grant.Allows(t.Type) {
			return fmt.Errorf("task %d of the type %s: %w; rc-ctl token make submit --exec makes one that may", i+1, t.Type, wire.ErrType)
		}
		s.grant.Confine(&t.Requirements)
		if err := t.Requirements.Validate(); err != nil {
			return err
		}
	}
	return nil
}
