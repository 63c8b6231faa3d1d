package web

import (
	"net/http"
	"time"
)

// A browser's session is a token of the main node, which lists it, revokes it and ends it. The browser keeps it in a cookie, and nobody else does.

// The cookie's names. One that begins with __Host- can only have been set by this very host, over TLS.
const (
	cookieSecure = "__Host-rc"
	cookiePlain  = "rc"
)

func cookieName(secure bool) string {
	if secure {
		return cookieSecure
	}
	return cookiePlain
}

// sessionsOf are the sessions that a request brings: two are one too many.
func (s *Server) sessionsOf(r *http.Request) (tokens []string) {
	for _, c := range r.CookiesNamed(cookieName(s.isSecure(r))) {
		tokens = append(tokens, c.Value)
	}
	return tokens
}

// keepSession has the browser keep a session as long as it lasts. Where the clocks of this host and the main node's differ it is the main node's that counts.
func (s *Server) keepSession(w http.ResponseWriter, r *http.Request, token string, until time.Time) {
	s.setSession(w, r, token, int(max(time.Until(until), time.Hour).Seconds()))
}

// forgetSession has the browser forget it.
func (s *Server) forgetSession(w http.ResponseWriter, r *http.Request) { s.setSession(w, r, "", -1) }

func (s *Server) setSession(w http.ResponseWriter, r *http.Request, token string, seconds int) {
	secure := s.isSecure(r)
	http.SetCookie(w, &http.Cookie{Name: cookieName(secure), Value: token, Path: "/", MaxAge: seconds, Secure: secure, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
