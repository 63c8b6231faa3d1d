package web

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

//go:embed pages
var pageFiles embed.FS

// pageTemplates are the pages by name: each is its own file within what all share.
var pageTemplates = parsePages()

func parsePages() map[string]*template.Template {
	shared := template.Must(template.New("layout.html").Funcs(template.FuncMap{"static": staticAddress}).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html"))
	entries, err := pageFiles.ReadDir("pages")
	if err != nil { // they are in the program
		panic(err)
	}
	all := map[string]*template.Template{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		all[name] = template.Must(template.Must(shared.Clone()).ParseFS(pageFiles, "pages/"+e.Name())).Lookup(e.Name())
	}
	return all
}

// tab is a place in the navigation.
type tab struct {
	Path, Name, Key string
}

var tabs = []tab{
	{"/", "Terminal", ""},
	{"/devices", "Devices", "F2"},
	{"/tasks", "Tasks", "F3"},
	{"/logs", "Logs", "F4"},
	{"/charts", "Charts", "F5"},
	{"/join", "Join", "F6"},
	{"/help", "Help", "F1"},
}

// themes are the colours that one can choose; the first is what the browser prefers.
var themes = []string{"auto", "matrix", "amber", "blue", "solarized-dark", "contrast", "light"}

// frame is what all pages share, around what each of them shows.
type frame struct {
	Name  string // of the page's template
	Path  string // of its place in the navigation
	Title string
	Node  *node  // nil: the main node does not answer, or is not asked
	Live  string // the stream that tells that the page would be another one by now; empty: none does
	Every int    // seconds, after which it would be in any case; 0: it stays as it is
	Body  any

	Insecure, Session bool
}

// Tabs is the navigation.
func (f *frame) Tabs() []tab { return tabs }

// Themes are the colours that one can choose.
func (f *frame) Themes() string { return strings.Join(themes, " ") }

// node is what a page says of the main node.
type node struct{ Name, Health, Uptime, Version, Storage string }

func nodeOf(s *cluster.Status) *node {
	return &node{Name: text.Sanitize(s.MainNode), Health: string(s.Health), Uptime: text.Uptime(time.Duration(s.Uptime) * time.Second),
		Version: text.Sanitize(s.Version), Storage: text.Sanitize(s.Storage)}
}

// viewer is what a page is made with: the main node as the visitor sees it.
type viewer struct {
	*client.Client
	*frame
	ctx    context.Context
	r      *http.Request
	q      *query
	status cluster.Status
	now    time.Time // by the clock that stamped what is shown
	role   wire.Role // empty: nobody has said who they are
}

// may says whether the visitor may do what a role may.
func (v *viewer) may(need wire.Role) bool { return v.role.May(need) }

// style is how facts are printed.
func (v *viewer) style() text.Style { return text.Style{Now: v.now} }

// view is a page that shows something of the cluster. That the main node is away is a page too.
func (s *Server) view(name, path string, fill func(*viewer) error) http.Handler {
	return s.plain(func(w http.ResponseWriter, r *http.Request) error { return s.showView(w, r, name, path, fill) })
}

func (s *Server) showView(w http.ResponseWriter, r *http.Request, name, path string, fill func(*viewer) error) error {
	s.history.want(time.Now())
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	f, err := get(s.asker(ctx), func(c *client.Client) (*frame, error) {
		v := &viewer{Client: c, frame: &frame{Name: name, Path: path}, ctx: ctx, r: r, q: newFormQuery(r)}
		return v.frame, v.fill(fill)
	})
	if err != nil {
		problem, wait := refusalOf(err)
		setRetryAfter(w, problem.status, wait)
		s.showTrouble(w, r, problem)
		return nil
	}
	return s.show(w, r, http.StatusOK, f)
}

// fill finds out what the page shows.
func (v *viewer) fill(fill func(*viewer) error) (err error) {
	if v.status, err = v.Status(v.ctx); err != nil {
		return err
	}
	if visitorOf(v.ctx) != nil {
		if v.role, err = v.Role(v.ctx); err != nil {
			return err
		}
	}
	v.now, v.Node = v.status.Started.Add(time.Duration(v.status.Uptime)*time.Second), nodeOf(&v.status)
	return fill(v)
}

// newFormQuery reads the parameters of a form, in which what was left empty is sent too.
func newFormQuery(r *http.Request) *query {
	q := newQuery(r)
	for name, values := range q.values {
		if len(values) == 1 && values[0] == "" {
			q.values.Del(name)
		}
	}
	return q
}

// show answers with a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, f *frame) error {
	f.Insecure, f.Session = s.isInsecure(r), len(s.sessionsOf(r)) > 0
	return showPage(w, status, pageTemplates[f.Name], f)
}

// isInsecure says whether what is shown, and typed, can be read on the network between.
func (s *Server) isInsecure(r *http.Request) bool { return !s.place.loopback && !s.isSecure(r) }

func showPage(w http.ResponseWriter, status int, t *template.Template, view any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, view); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

// trouble is what the page says that shows an error.
type trouble struct {
	Status        int
	Words, Reason string
	Login, Again  bool
}

// showTrouble answers with an error as a page. It asks nobody anything: it may be shown to strangers, and while the main node is away.
func (s *Server) showTrouble(w http.ResponseWriter, r *http.Request, problem *refusal) {
	t := &trouble{Status: problem.status, Words: http.StatusText(problem.status), Reason: text.Sanitize(problem.message),
		Login: problem.status == http.StatusUnauthorized || problem.status == http.StatusForbidden}
	f := &frame{Name: "trouble", Title: t.Words, Body: t}
	if away := problem.status == http.StatusServiceUnavailable || problem.status == http.StatusGatewayTimeout; away && r.Method != http.MethodPost {
		t.Again, f.Every, f.Path = true, 5, pathOf(r)
	}
	if err := s.show(w, r, problem.status, f); err != nil {
		s.log.Error("cannot show an error", "err", err)
	}
}

// pathOf is the place in the navigation to which a request belongs.
func pathOf(r *http.Request) string {
	for _, t := range tabs {
		if r.URL.Path == t.Path || t.Path != "/" && strings.HasPrefix(r.URL.Path, t.Path+"/") {
			return t.Path
		}
	}
	return ""
}

// isPage says whether a browser asks for a page, and not for what only scripts ask for.
func isPage(r *http.Request) bool {
	for _, other := range []string{"/api/", "/text/", "/stream/", "/static/", "/metrics", "/healthz"} {
		if strings.HasPrefix(r.URL.Path, other) {
			return false
		}
	}
	return acceptsHTML(r)
}

// with is the address of a page with one parameter set, or without it, and without where its list went on.
func with(r *http.Request, name, value string) string {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	for key, values := range q {
		if key == "after" || key == "page" || len(values) == 1 && values[0] == "" {
			q.Del(key)
		}
	}
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}
