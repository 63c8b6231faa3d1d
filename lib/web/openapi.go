package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// openAPI is the description of the API, for programs. A test holds it against the routes and what they answer.
//
//go:embed openapi.json
var openAPI []byte

//go:embed openapi.html
var openAPISource string

var openAPITemplate = template.Must(template.New("openapi").Parse(openAPISource))

// description is what the page shows of the document.
type description struct {
	Info       struct{ Title, Description string }
	Tags       []struct{ Name, Description string }
	Paths      map[string]map[string]*operation
	Components struct{ Schemas map[string]*schema }
}

type operation struct {
	ID          string `json:"operationId"`
	Tags        []string
	Summary     string
	Description string
	Parameters  []parameter
	RequestBody *struct {
		Content map[string]struct {
			Schema  schema
			Example json.RawMessage
		}
	}
	Responses map[string]struct {
		Ref         string `json:"$ref"`
		Description string
		Content     map[string]struct{ Schema schema }
	}
	Security []map[string][]string

	method, path string
}

type parameter struct {
	Name, In, Description string
	Schema                schema
	Example               any
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a name, or several
	Format      string
	Description string
	Enum        []any
	Const       any
	Items       *schema
	OneOf       []schema `json:"oneOf"`
	Required    []string
	Properties  map[string]*schema
	Additional  *schema `json:"additionalProperties"`
}

// described reads the document once.
var described = sync.OnceValue(func() *description {
	d := new(description)
	if err := json.Unmarshal(openAPI, d); err != nil {
		panic(fmt.Sprintf("openapi.json: %v", err)) // it is ours, and tested
	}
	for path, methods := range d.Paths {
		for method, o := range methods {
			o.method, o.path = strings.ToUpper(method), path
		}
	}
	return d
})

func (s *Server) showDescription(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	tag := tagOf(openAPI)
	w.Header().Set("ETag", tag)
	if hasAlready(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(openAPI)
	return nil
}

// showAPI is the page about the API, for people.
func (s *Server) showAPI(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	var b bytes.Buffer
	if err := openAPITemplate.Execute(&b, described().page(scheme+"://"+r.Host)); err != nil {
		return fmt.Errorf("show the API: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
	return nil
}

// apiPage is the document, ordered for people.
type apiPage struct {
	Info    struct{ Title, Description string }
	Groups  []apiGroup
	Schemas []apiSchema
}

type apiGroup struct {
	Name, Title string
	Operations  []apiOperation
}

type apiOperation struct {
	*operation
	Method, Path, Body, Curl string
	Token                    bool
	Answers                  []apiAnswer
}

type apiAnswer struct{ Status, Description, Schema, Media string }

type apiSchema struct {
	Name, Description, Words string
	Fields                   []apiField
}

type apiField struct {
	Name, Type, Description string
	Always                  bool
}

func (d *description) page(site string) *apiPage {
	p := &apiPage{Info: d.Info}
	for _, tag := range d.Tags {
		g := apiGroup{Name: tag.Name, Title: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range []string{"get", "post", "delete"} {
				if o := d.Paths[path][method]; o != nil && slices.Contains(o.Tags, tag.Name) {
					g.Operations = append(g.Operations, o.shown(site))
				}
			}
		}
		p.Groups = append(p.Groups, g)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		p.Schemas = append(p.Schemas, d.Components.Schemas[name].shown(name))
	}
	return p
}

func (o *operation) shown(site string) apiOperation {
	a := apiOperation{operation: o, Method: o.method, Path: o.path, Curl: o.curl(site), Token: len(o.Security) > 0 && len(o.Security[0]) > 0}
	if o.RequestBody != nil {
		body := o.RequestBody.Content["application/json"].Schema
		a.Body = body.Words()
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		answer := apiAnswer{Status: status, Description: o.Responses[status].Description}
		for media, c := range o.Responses[status].Content {
			answer.Media = media
			if data := c.Schema.Properties["data"]; data != nil {
				answer.Schema = data.name()
			}
		}
		if strings.HasSuffix(o.Responses[status].Ref, "/Error") {
			answer = apiAnswer{Status: "others", Description: "what went wrong", Schema: "Error"}
		}
		a.Answers = append(a.Answers, answer)
	}
	return a
}

// curl is how to ask for it from a shell.
func (o *operation) curl(site string) string {
	url, query := site+o.path, ""
	for _, p := range o.Parameters {
		switch {
		case p.In == "path":
			url = strings.ReplaceAll(url, "{"+p.Name+"}", fmt.Sprint(p.Example))
		case p.In == "query" && p.Example != nil:
			query += "&" + p.Name + "=" + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(p.Example), "[]")), ",")
		}
	}
	if query != "" {
		url += "?" + query[1:]
	}
	line := "curl -s"
	if o.method != "GET" {
		line += " -X " + o.method
	}
	if len(o.Security) > 0 && len(o.Security[0]) > 0 {
		line += ` -H "Authorization: Bearer $(cat token)"`
	}
	if o.RequestBody != nil {
		var b bytes.Buffer
		json.Compact(&b, o.RequestBody.Content["application/json"].Example) // of the document, which is tested
		line += " -H 'Content-Type: application/json' \\\n    -d '" + b.String() + "'"
	}
	return line + " '" + url + "'"
}

func (s *schema) name() string { return s.Ref[strings.LastIndex(s.Ref, "/")+1:] }

// Words are what the schema says, in few words.
func (s *schema) Words() string {
	switch {
	case s.Ref != "":
		return s.name()
	case len(s.OneOf) > 0:
		var kinds []string
		for i := range s.OneOf {
			kinds = append(kinds, s.OneOf[i].Words())
		}
		return strings.Join(kinds, ", or ")
	case len(s.Enum) > 0:
		return strings.Trim(strings.ReplaceAll(fmt.Sprintf("%q", s.Enum), `" "`, ", "), `[]"`)
	case s.Const != nil:
		return fmt.Sprint(s.Const)
	case s.Items != nil:
		return "list of " + s.Items.Words()
	case len(s.Properties) > 0:
		var names []string
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			names = append(names, name+": "+s.Properties[name].Words())
		}
		return "{" + strings.Join(names, ", ") + "}"
	case s.Additional != nil:
		return "object of " + s.Additional.Words()
	case s.Format == "date-time":
		return "time"
	}
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(s.Type), "[]")), " or ")
}

func (s *schema) shown(name string) apiSchema {
	a := apiSchema{Name: name, Description: s.Description}
	if len(s.Properties) == 0 {
		a.Words = s.Words()
	}
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[field]
		a.Fields = append(a.Fields, apiField{field, f.Words(), f.Description, slices.Contains(s.Required, field)})
	}
	return a
}
