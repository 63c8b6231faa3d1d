package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// access is what a route wants of whoever asks. The zero value wants most.
type access int

const (
	byToken   access = iota // a session, or a token: the route changes something
	byReader                // the same, unless reading is open to who asks
	byAnybody               // nothing
)

var (
	errNobody = refused(http.StatusUnauthorized, "E_AUTH", "this needs a token: Authorization: Bearer rcs1_… (rc-ctl token make submit makes one), or a login (rc-web login)")
	errBroken = refused(http.StatusUnauthorized, "E_AUTH", "this is not a token (rca1_…, rcs1_… or rcr1_…)")
	errUsedUp = refused(http.StatusUnauthorized, "E_AUTH", "the session is over, or the token is wrong, revoked or too old")
	errMixed  = refused(http.StatusBadRequest, "E_AUTH", "cookies and bearer are never mixed: send one of them")
)

// guard lets those through whom a route is for. Who brings a token or a session is asked about at the main node each time: what is revoked there ends here
// at once. A wrong one never counts as none.
func (s *Server) guard(wants access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := s.tokenOf(r)
		switch {
		case errors.Is(err, errMixed):
		case wants == byAnybody:
			err = nil
		case err == nil && token != "":
			who := &visitor{s.visitors, token}
			if err = s.knows(r, who); err == nil {
				r = r.WithContext(withVisitor(r.Context(), who))
			}
		case err == nil && !(wants == byReader && s.isOpen(r)):
			err = errNobody
		}
		if err != nil {
			s.turnAway(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOpen says whether anybody who asks like this may read: on loopback the users of this host, but not whom a proxy there lets in.
func (s *Server) isOpen(r *http.Request) bool { return s.options.PublicRead || s.isLocal(r) }

// isLocal says whether a user of this host asks.
func (s *Server) isLocal(r *http.Request) bool {
	return s.place.loopback && peerOf(r.RemoteAddr).IsLoopback() && !isForwarded(r)
}

// tokenOf is the token that a request brings: a session's in the cookie, any other in a header; empty: none.
func (s *Server) tokenOf(r *http.Request) (string, error) {
	cookies, headers := s.sessionsOf(r), r.Header.Values("Authorization")
	switch {
	case len(cookies)+len(headers) == 0:
		return "", nil
	case len(cookies)+len(headers) > 1:
		return "", errMixed
	case len(cookies) == 1:
		if t, err := wire.ParseToken(cookies[0]); err != nil || t.Role != wire.RoleBrowser {
			return "", errUsedUp
		}
		return cookies[0], nil
	}
	return bearer(headers[0])
}

// bearer is the token of a header: one that somebody keeps, not a session's.
func bearer(header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNobody
	}
	token = strings.TrimSpace(token)
	if t, err := wire.ParseToken(token); err != nil || !t.Role.May(wire.RoleRead) {
		return "", errBroken
	}
	return token, nil
}

// knows asks the main node about a visitor. Whoever tries tokens out soon has to wait.
func (s *Server) knows(r *http.Request, who *visitor) error {
	err := who.ping(r.Context())
	if errors.Is(err, errUsedUp) { // whoever has a right one is not kept waiting by the wrong ones of others
		if wait := s.wrongTokens.take(s.addressOf(r), time.Now()); wait > 0 {
			return tooOften(wait)
		}
	}
	return err
}

func tooOften(wait time.Duration) error {
	return &refusal{status: http.StatusTooManyRequests, code: "E_RATE", message: "too many wrong tries from this address: wait a little", wait: max(wait, time.Second)}
}

// turnAway answers who is not let through: browsers are led to where they can log in.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	problem, _ := refusalOf(err)
	if errors.Is(err, errUsedUp) && len(s.sessionsOf(r)) > 0 {
		s.forgetSession(w, r)
	}
	browses := acceptsHTML(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Path == "/logout")
	switch {
	case browses && problem.status == http.StatusUnauthorized:
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	default:
		s.refuse(w, r, withoutPlace(err))
	}
}

// withoutPlace is an error for those who are not known yet, and need not know where the main node is.
func withoutPlace(err error) error {
	problem, wait := refusalOf(err)
	if problem.status < http.StatusInternalServerError {
		return err
	}
	return &refusal{problem.status, problem.code, "the main node does not answer", wait}
}

// acceptsHTML says whether a page may be the answer. Scripts, which take anything, do not mean that.
func acceptsHTML(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}
