package web

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

//go:embed login.html
var loginSource string

var loginTemplate = template.Must(template.New("login").Funcs(template.FuncMap{"static": staticAddress}).Parse(loginSource))

// loginView is what the page shows on which one logs in.
type loginView struct {
	Error    string
	Insecure bool
	Open     bool // one may read without a login
}

const maxLogin = 1 << 10 // bytes of what is posted

// errLogin is one answer for all that can be wrong with a code, as it is no business of those who try codes out.
var errLogin = refused(http.StatusUnauthorized, "E_AUTH", "the code is wrong, used or too old: rc-web login makes another")

// loginPage is where the code behind # of an address is brought, by a script, or pasted.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	return s.showLogin(w, r, http.StatusOK, "")
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	return showPage(w, status, loginTemplate, &loginView{Error: problem, Insecure: s.isInsecure(r), Open: s.isOpen(r)})
}

// login makes a session of a code. A form is answered with a page, a script with nothing or an error.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	code, byForm, err := codeOf(r)
	var in wire.LoggedIn
	if err == nil {
		in, err = s.logIn(r, code)
	}
	switch {
	case err != nil && byForm && acceptsHTML(r):
		problem, wait := refusalOf(err)
		setRetryAfter(w, problem.status, wait)
		return s.showLogin(w, r, problem.status, problem.message)
	case err != nil:
		return err
	}
	s.keepSession(w, r, in.Token, in.Expires)
	if byForm {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// codeOf reads the code from the body: JSON of the script, or the form, which works without one.
func codeOf(r *http.Request) (code string, byForm bool, err error) {
	media := mediaOf(r)
	byForm = media == "application/x-www-form-urlencoded"
	if err := newQuery(r).check(); err != nil {
		return "", byForm, err
	}
	if !byForm && media != "application/json" {
		return "", false, refused(http.StatusUnsupportedMediaType, "E_TYPE", `the body has to be JSON, with Content-Type: application/json: {"code":"rcl1_…"}`)
	}
	b, err := readBody(r, maxLogin)
	if err != nil {
		return "", byForm, err
	}
	var body struct {
		Code string `json:"code"`
	}
	if byForm {
		values, err := url.ParseQuery(string(b))
		if err != nil {
			return "", true, invalid("the form cannot be read")
		}
		body.Code = values.Get("code")
	} else if err := decodeStrict(b, &body); err != nil {
		return "", false, err
	}
	return strings.TrimSpace(body.Code[strings.LastIndex(body.Code, "#")+1:]), byForm, nil // the whole address may have been pasted
}

// logIn has the main node make a session of a code.
func (s *Server) logIn(r *http.Request, code string) (in wire.LoggedIn, err error) {
	from := s.addressOf(r)
	if wait := s.wrongCodes.take(from, time.Now()); wait > 0 {
		return in, tooOften(wait)
	}
	if t, err := wire.ParseToken(code); err != nil || t.Role != wire.RoleLogin {
		return in, errLogin
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	who := &visitor{s.visitors, code}
	if err = who.ask(ctx, func(c *client.Client) (err error) {
		in, err = c.Login(ctx)
		return err
	}); isUnknown(err) || errors.Is(err, wire.ErrForbidden) {
		return in, errLogin
	}
	s.wrongCodes.giveBack(from)
	if err != nil {
		err = withoutPlace(err)
	}
	return in, err
}

// logout ends the session of the cookie, at the main node and in the browser.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	who, err := s.change(r, noBody)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	if err := who.ask(ctx, func(c *client.Client) error { return c.Logout(ctx) }); err != nil {
		return err
	}
	s.forgetSession(w, r)
	if acceptsHTML(r) {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// loginStatic serves what the page needs on which one logs in.
func (s *Server) loginStatic(w http.ResponseWriter, r *http.Request) error {
	r.SetPathValue("name", path.Base(r.URL.Path))
	return s.static(w, r)
}
