package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// TestEveryRouteIsDescribed: what the document describes is what there is.
func TestEveryRouteIsDescribed(t *testing.T) {
	there := map[string]route{}
	for _, r := range New(Options{}).routes() {
		if _, path, _ := strings.Cut(r.pattern, " "); path == "/api" || strings.HasPrefix(path, "/api/") {
			there[r.pattern] = r
		}
	}
	ids := map[string]bool{}
	for path, methods := range described().Paths {
		for _, o := range methods {
			pattern := o.method + " " + path
			r, exists := there[pattern]
			if !exists {
				t.Errorf("%s is described, and does not exist", pattern)
				continue
			}
			if open := len(o.Security[0]) == 0; open == (r.wants == byToken) {
				t.Errorf("%s: what it says of tokens is not so", pattern)
			}
			if ids[o.ID] || o.ID == "" || o.Summary == "" || len(o.Tags) != 1 {
				t.Errorf("%s: operationId %q, summary %q, tags %q", pattern, o.ID, o.Summary, o.Tags)
			}
			for _, p := range o.Parameters {
				if p.In == "path" && (!strings.Contains(path, "{"+p.Name+"}") || p.Example == nil) {
					t.Errorf("%s: parameter %s", pattern, p.Name)
				}
			}
			ids[o.ID] = true
			delete(there, pattern)
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(there)) {
		t.Errorf("%s is not described", pattern)
	}
}

// TestFieldsAreDescribed holds the schemas against the types, also in what no answer of a test has.
func TestFieldsAreDescribed(t *testing.T) {
	for name, fields := range map[string][]string{
		"Task": fieldNames[task.Task](), "TaskSpec": fieldNames[task.Spec](), "Attempt": fieldNames[task.Attempt](), "Requirements": fieldNames[task.Requirements](),
		"Limits": fieldNames[task.Limits](), "Files": fieldNames[task.Files](), "File": fieldNames[task.File](),
		"Device": fieldNames[device.Device](), "DeviceShown": fieldNames[shownDevice](), "DeviceState": fieldNames[deviceStatus](), "DeviceMetrics": fieldNames[device.Metrics](),
		"Profile": fieldNames[device.Profile](), "ClusterStatus": fieldNames[cluster.Status](), "Event": fieldNames[shownEvent](), "Token": fieldNames[wire.TokenInfo](),
		"TokenRequest": fieldNames[wire.MakeToken](), "InviteRequest": fieldNames[wire.Invite](), "Metrics": fieldNames[wire.Metrics](), "Settings": fieldNames[wire.Settings](),
		"TaskStatus": fieldNames[taskStatus](), "Statistics": fieldNames[statistics](), "Result": fieldNames[result](), "DeviceSummary": fieldNames[deviceSummary](),
		"Health": fieldNames[health](), "Ping": fieldNames[pinged](), "TokenMade": fieldNames[wire.TokenMade](), "Invited": fieldNames[wire.Invited](),
	} {
		described := slices.Sorted(maps.Keys(described().Components.Schemas[name].Properties))
		slices.Sort(fields)
		if !slices.Equal(described, fields) {
			t.Errorf("%s has the fields\n%q\nand is described with\n%q", name, fields, described)
		}
	}
}

func fieldNames[T any]() []string {
	q := &query{values: url.Values{"fields": {"no-such-field"}}}
	fieldsOf[T](q)
	_, names, _ := strings.Cut(q.err.Error(), "possible are ")
	return strings.Split(names, ", ")
}

// judge holds answers against the document, of which every object has no more than it describes.
type judge struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	seen     map[string]bool // operations
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	strictly(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &judge{t, c, map[string]bool{}}
}

func strictly(doc any) {
	switch v := doc.(type) {
	case map[string]any:
		_, open := v["additionalProperties"]
		if _, is := v["properties"].(map[string]any); is && v["type"] == "object" && !open {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			strictly(inner)
		}
	case []any:
		for _, inner := range v {
			strictly(inner)
		}
	}
}

// check holds one text against the schema at a place of the document.
func (j *judge) check(what, body string, place ...string) {
	j.t.Helper()
	for i, p := range place {
		place[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	s, err := j.compiler.Compile("openapi.json#/" + strings.Join(place, "/"))
	if err != nil {
		j.t.Fatalf("%s: %v", what, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		j.t.Errorf("%s: %v\n%s", what, err, body)
	}
}

// answer holds an answer against what the document says of the operation.
func (j *judge) answer(pattern, path, sent string, got answer) {
	j.t.Helper()
	method, at, _ := strings.Cut(pattern, " ")
	method = strings.ToLower(method)
	j.seen[pattern] = true
	o := described().Paths[at][method]
	if o == nil {
		j.t.Fatalf("%s is not described", pattern)
	}
	what, status := method+" "+path, fmt.Sprint(got.status)
	if sent != "" && got.status < 300 {
		j.check(what+", what was sent", sent, "paths", at, method, "requestBody", "content", "application/json", "schema")
	}
	media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	switch _, known := o.Responses[status]; {
	case got.status >= 400:
		j.check(what, got.body, "components", "schemas", "Error")
	case !known:
		j.t.Errorf("%s: the status %s is not described", what, status)
	case got.status == 304:
	case o.Responses[status].Content[media].Schema.Type == nil:
		j.t.Errorf("%s: %s is not described", what, media)
	case media == "application/json":
		j.check(what, got.body, "paths", at, method, "responses", status, "content", media, "schema")
	}
}

// TestAnswersAreAsDescribed has a cluster with devices and tasks of all kinds, and asks for all there is.
func TestAnswersAreAsDescribed(t *testing.T) {
	s, j := newSite(t), newJudge(t)
	admin := "Authorization: Bearer " + s.token(wire.RoleAdmin)
	startWorker(t, s.data, "pixel-3a")
	changes := s.events("/stream/devices")
	changes.until(`"status":"online"`)
	failing := script("printf 'a\\377'; echo oops >&2; exit 3")
	failing.Name, failing.Retries, failing.Backoff, failing.Requirements.Tags = "b", 1, 0.1, nil
	needy := task.Spec{Type: "custom-type", Requirements: task.Requirements{CPUCores: 1000, Tags: []string{"x"}}, Provision: task.Provision{Limits: &task.Limits{Memory: 1 << 30}}, Timeout: 5, Retries: 1,
		Policy: task.Policy{Exclusive: true, RetryOn: []int{1}}, Priority: task.High}
	taken, err := s.client().Submit(t.Context(), []task.Spec{echo, failing, needy}, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done, failed, waiting := taken.Tasks[0].String(), taken.Tasks[1].String(), taken.Tasks[2].String()
	s.finished(done)
	s.finished(failed)
	ask := func(pattern, path, body string, want int, headers ...string) answer {
		t.Helper()
		method, _, _ := strings.Cut(pattern, " ")
		got := s.do(method, path, body, append(headers, admin, asJSON)...)
		if got.status != want {
			t.Errorf("%s %s: %d, not %d: %s", method, path, got.status, want, got.body)
		}
		j.answer(pattern, path, body, got)
		return got
	}
	const v = "/api/v1"
	for pattern, paths := range map[string][]string{
		"/devices":               {"", "?status=online,offline&limit=1"},
		"/devices/summary":       {""},
		"/cluster/status":        {""},
		"/cluster/health":        {""},
		"/cluster/metrics":       {""},
		"/cluster/configuration": {""},
		"/tasks":                 {"", "?limit=1", "?state=failed,queued&newest=true&device=pixel-3a", "?job=" + taken.Job.String()},
		"/tasks/statistics":      {""},
		"/tasks/types":           {""},
		"/events":                {"", "?after=0&limit=5", "?level=warning"},
		"/tokens":                {""},
		"/openapi.json":          {""},
	} {
		for _, q := range paths {
			got := ask("GET "+v+pattern, v+pattern+q, "", 200)
			if slices.Contains([]string{"/tasks", "/tasks/types", "/events", "/cluster/configuration", "/openapi.json"}, pattern) { // time alone does not change them
				ask("GET "+v+pattern, v+pattern+q, "", 304, "If-None-Match: "+got.header.Get("ETag"))
			}
		}
	}
	for _, id := range []string{done, failed, waiting} {
		for _, part := range []string{"", "/status", "/output"} {
			ask("GET "+v+"/tasks/{id}"+part, v+"/tasks/"+id+part, "", 200)
		}
	}
	report := script("mkdir d; printf 'a,b\\377\\n' >'d/räport <1>.csv'; : >nothing")
	report.Files, report.Requirements = &task.Files{Out: []string{"d/*", "nothing"}}, task.Requirements{}
	brought := s.submit(report)[0]
	s.finished(brought)
	const file = "/tasks/{id}/file"
	got := ask("GET "+v+file, v+"/tasks/"+brought+"/file?name="+url.QueryEscape("d/räport <1>.csv"), "", 200)
	if d := got.header.Get("Content-Disposition"); got.body != "a,b\xff\n" || got.header.Get("Content-Length") != "5" || d != "attachment; filename*=utf-8''r%C3%A4port%20%3C1%3E.csv" {
		t.Errorf("the file: %q %q %s", got.body, got.header, d)
	}
	if got := ask("GET "+v+file, v+"/tasks/"+brought+"/file?name=nothing&attempt=1", "", 200); got.body != "" || got.header.Get("Content-Length") != "0" {
		t.Errorf("an empty file: %q %q", got.body, got.header)
	}
	for query, want := range map[string]int{"?name=other": 404, "?name=nothing&attempt=2": 404, "": 400, "?name=../../etc/passwd": 404} {
		ask("GET "+v+file, v+"/tasks/"+brought+"/file"+query, "", want)
	}
	for id, want := range map[string]int{done: 200, failed: 200, waiting: 409, "t00000000": 404, "x": 400} {
		ask("GET "+v+"/tasks/{id}/result", v+"/tasks/"+id+"/result", "", want)
	}
	ask("GET "+v+"/devices/{id}", v+"/devices/pixel-3a", "", 200)
	ask("GET "+v+"/devices/{id}", v+"/devices/nobody", "", 404)
	ask("GET "+v+"/devices/{id}/status", v+"/devices/pixel-3a/status", "", 200)
	ask("GET /api", "/api", "", 200)
	ask("GET "+v+"/complete", v+"/complete?line=rc-status+d", "", 200)
	ask("POST "+v+"/command", v+"/command", `{"command":"rc-status devices","format":"json"}`, 200)
	ask("POST "+v+"/command", v+"/command", `{"command":"exit 3","format":"yaml"}`, 400)
	ask("POST "+v+"/terminal", v+"/terminal", `{"command":"echo hello","columns":80}`, 200)

	for _, c := range []struct {
		pattern, path, body string
		status              int
	}{
		{"POST /tasks", "/tasks", `{"task_type":"echo","payload":{"message":"x"},"priority":"low","requirements":{"role":"x"}}`, 201},
		{"POST /tasks", "/tasks", `{"tasks":[{"task_type":"echo"}],"key":"k"}`, 201},
		{"POST /tasks", "/tasks", `{"tasks":[]}`, 400},
		{"POST /tasks/batch", "/tasks/batch", `[{"task_type":"echo"}]`, 201},
		{"POST /tasks/{id}/cancel", "/tasks/" + waiting + "/cancel", "", 200},
		{"POST /tasks/{id}/cancel", "/tasks/" + waiting + "/cancel", "", 409},
		{"POST /tasks/{id}/retry", "/tasks/" + waiting + "/retry", "", 200},
		{"POST /devices/{id}/ping", "/devices/pixel-3a/ping", "", 200},
		{"POST /devices/{id}/drain", "/devices/pixel-3a/drain", `{"within":600}`, 200},
		{"POST /devices/{id}/undrain", "/devices/pixel-3a/undrain", "", 200},
		{"POST /devices/{id}/approve", "/devices/pixel-3a/approve", "", 409},
		{"POST /devices/{id}/wake", "/devices/pixel-3a/wake", "", 409},
		{"POST /tokens", "/tokens", `{"role":"submit","task_types":["echo"],"expires":60}`, 201},
		{"DELETE /tokens/{id}", "/tokens/aaaaaaaaaa", "", 409},
		{"POST /invites", "/invites", `{"uses":1}`, 201},
		{"DELETE /devices/{id}", "/devices/pixel-3a", "", 200},
	} {
		method, at, _ := strings.Cut(c.pattern, " ")
		ask(method+" "+v+at, v+c.path, c.body, c.status)
	}
	for path, methods := range described().Paths {
		for _, o := range methods {
			if !j.seen[o.method+" "+path] {
				t.Errorf("%s %s was not asked for", o.method, path)
			}
		}
	}
}

// TestExamplesAreValid: what the page shows to be copied is taken.
func TestExamplesAreValid(t *testing.T) {
	j := newJudge(t)
	for path, methods := range described().Paths {
		for method, o := range methods {
			if o.RequestBody == nil {
				continue
			}
			example := o.RequestBody.Content["application/json"].Example
			j.check(path, string(example), "paths", path, method, "requestBody", "content", "application/json", "schema")
		}
	}
}

func TestPageOfTheAPI(t *testing.T) {
	s := newSite(t)
	got := s.get("/api")
	for _, want := range []string{"<h3>GET /api/v1/devices/{id}/status</h3>", "curl -s &#39;" + s.url + "/api/v1/tasks?state=queued,running&#39;",
		`-d &#39;{&#34;task_type&#34;:&#34;shell&#34;,&#34;payload&#34;:{&#34;script&#34;:&#34;uptime&#34;}}&#39;`, `<a href="#Task">Task</a>`, `<section id="Task">`,
		`"/api/v1/openapi.json"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(got.body, "%!") || strings.Contains(got.body, "&lt;nil&gt;") {
		t.Error(got.body)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(s.get("/api/v1/openapi.json").body), &doc); err != nil || doc["openapi"] != "3.1.0" {
		t.Error(err, doc["openapi"])
	}
}
