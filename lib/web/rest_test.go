package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// data decodes the data of a success.
func data[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	var e struct {
		Status string
		Data   T
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Status != "success" || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return e.Data
}

const asJSON = "Content-Type: application/json"

func TestSubmit(t *testing.T) {
	s := newSite(t)
	auth := "Authorization: Bearer " + s.token(wire.RoleSubmit)
	one := `{"task_type":"echo","payload":{"message":"hello"},"priority":"high"}`
	got := s.do("POST", "/api/v1/tasks", one, auth, asJSON)
	if got.status != http.StatusCreated {
		t.Fatal(got)
	}
	made := data[submitted](t, got)
	if len(made.Tasks) != 1 || made.Job.First() != made.Tasks[0] || made.Key == "" {
		t.Error(got.body)
	}
	several := fmt.Sprintf(`{"tasks":[%s,%s],"key":"nightly"}`, one, one)
	first := data[submitted](t, s.do("POST", "/api/v1/tasks", several, auth, asJSON))
	again := data[submitted](t, s.do("POST", "/api/v1/tasks", several, auth, "Content-Type: application/json; charset=utf-8"))
	if len(first.Tasks) != 2 || again.Tasks[1] != first.Tasks[1] || again.Duplicates != 2 {
		t.Error(first, again)
	}
	if got := s.do("POST", "/api/v1/tasks", `{"tasks":[{"task_type":"sleep","payload":{"seconds":1}}],"key":"nightly"}`, auth, asJSON); got.status != http.StatusConflict ||
		!strings.Contains(got.body, "E_IDEM_MISMATCH") {
		t.Error(got)
	}
	shown := data[task.Task](t, s.get("/api/v1/tasks/"+made.Tasks[0].String()))
	if shown.Priority != task.High || shown.State != task.Queued {
		t.Errorf("%+v", shown)
	}
}

func TestSubmitRefused(t *testing.T) {
	s := newSite(t)
	submit, read := "Authorization: Bearer "+s.token(wire.RoleSubmit), "Authorization: Bearer "+s.token(wire.RoleRead)
	unknown := "Authorization: Bearer " + wire.NewToken(wire.RoleAdmin).String()
	good := `{"task_type":"echo","payload":{"message":"hello"}}`
	for _, c := range []struct {
		body, auth, media string
		status            int
		code, message     string
	}{
		{good, "X: y", asJSON, 401, "E_AUTH", "Authorization: Bearer rcs1_"},
		{good, "Authorization: Basic dTpw", asJSON, 401, "E_AUTH", "needs a token"},
		{good, "Authorization: Bearer rcs1_short", asJSON, 401, "E_AUTH", "not a token"},
		{good, unknown, asJSON, 401, "E_AUTH", ""},
		{good, read, asJSON, 403, "E_FORBIDDEN", ""},
		{good, submit, "X: y", 415, "E_TYPE", "Content-Type: application/json"},
		{good, submit, "Content-Type: text/plain", 415, "E_TYPE", ""},
		{"", submit, asJSON, 400, "E_JSON", "ends too early"},
		{"[]", submit, asJSON, 400, "E_FIELD", "not a JSON object"},
		{good + good, submit, asJSON, 400, "E_JSON", "stands behind"},
		{`{"task_type":"echo","payload":{"message":"x"},"prio":"high"}`, submit, asJSON, 400, "E_FIELD", `unknown field \"prio\"`},
		{`{"task_type":"echo","payload":{"massage":"x"}}`, submit, asJSON, 400, "E_TASK", "massage"},
		{`{"task_type":"echo","task_type":"shell"}`, submit, asJSON, 400, "E_JSON", "stands twice"},
		{`{"task_type":"echo","Task_Type":"shell"}`, submit, asJSON, 400, "E_JSON", "stands twice"},
		{`{"task_type":"echo","priority":"now"}`, submit, asJSON, 400, "E_FIELD", "one of low, normal, high, urgent"},
		{`{"task_type":7}`, submit, asJSON, 400, "E_FIELD", "task_type cannot be a number"},
		{`{"tasks":[]}`, submit, asJSON, 400, "E_FIELD", "tasks: empty"},
		{`{"tasks":[` + good + `,{"task_type":"Bad Type"}]}`, submit, asJSON, 400, "E_TASK", "task 2: "},
		{`{"task_type":"x","payload":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, submit, asJSON, 400, "E_JSON", "nested deeper"},
		{`{"task_type":"echo","payload":{"message":"` + strings.Repeat("x", maxBody) + `"}}`, submit, asJSON, 413, "E_TOO_LARGE", ""},
		{"{\"task_type\":\"\xff\"}", submit, asJSON, 400, "E_JSON", "not UTF-8"},
	} {
		got := s.do("POST", "/api/v1/tasks", c.body, c.auth, c.media)
		if got.status != c.status || !strings.Contains(got.body, `"error_code":"`+c.code+`"`) || !strings.Contains(got.body, c.message) {
			t.Errorf("%.80s %s: %d %s, want %d %s %q", c.body, c.media, got.status, got.body, c.status, c.code, c.message)
		}
		if (got.status == 401) != (got.header.Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("%.80s: WWW-Authenticate %q", c.body, got.header.Get("WWW-Authenticate"))
		}
	}
	if n := strings.Count(s.get("/text/tasks").body, "\n"); n != 0 {
		t.Errorf("%d tasks were submitted", n)
	}
}

func TestPayloadsKeysAreItsOwn(t *testing.T) {
	body, err := readSubmission([]byte(`{"task_type":"command","payload":{"argv":["env"],"environment":{"Path":"1","PATH":"2"}}}`))
	if err != nil || len(body.Tasks) != 1 {
		t.Error(err)
	}
}

func TestActions(t *testing.T) {
	s := newSite(t)
	id := s.submit(echo)[0]
	auth := "Authorization: Bearer " + s.token(wire.RoleAdmin)
	for _, c := range []struct {
		path, body, auth string
		status           int
		code             string
	}{
		{id + "/cancel", "", "X: y", 401, "E_AUTH"},
		{id + "/retry", "", auth, 409, "E_MOVE"},
		{id + "/result", "", "", 409, "E_MOVE"},
		{id + "/cancel", `{"x":1}`, auth, 400, "E_FIELD"},
		{id + "/cancel", `{}`, auth, 200, ""},
		{id + "/cancel", "", auth, 409, "E_MOVE"},
		{id + "/result", "", "", 200, ""},
		{id + "/retry", "", auth, 200, ""},
		{"t00000000/cancel", "", auth, 404, "E_NOT_FOUND"},
		{"nonsense/cancel", "", auth, 400, "E_BAD_ID"},
		{"t00000000", "", "", 404, "E_NOT_FOUND"},
		{"t00000000/result", "", "", 404, "E_NOT_FOUND"},
	} {
		method := "POST"
		if c.auth == "" {
			method, c.auth = "GET", "X: y"
		}
		got := s.do(method, "/api/v1/tasks/"+c.path, c.body, c.auth, asJSON)
		if got.status != c.status || c.code != "" && !strings.Contains(got.body, c.code) {
			t.Errorf("%s %s: %d %s", method, c.path, got.status, got.body)
		}
	}
	if got := s.get("/api/v1/devices/nobody"); got.status != 404 || !strings.Contains(got.body, "E_NO_DEVICE") {
		t.Error(got)
	}
}

func TestResult(t *testing.T) {
	s := newSite(t)
	startWorker(t, s.data, "pixel-3a")
	id := s.submit(task.Spec{Type: task.TypeShell, Payload: []byte(`{"script":"printf 'a\\377b'; echo oops >&2; exit 3"}`)})[0]
	s.finished(id)
	got := data[struct {
		Task   string  `json:"task_id"`
		Status string  `json:"status"`
		Wall   float64 `json:"execution_time"`
		Result struct {
			Output  string `json:"output"`
			Error   string `json:"error_output"`
			Exact   []byte `json:"output_base64"`
			Exit    *int   `json:"exit_code"`
			Metrics map[string]any
		}
	}](t, s.get("/api/v1/tasks/"+id+"/result"))
	r := &got.Result
	if got.Task != id || got.Status != "failed" || got.Wall <= 0 || r.Output != "a\uFFFDb" || string(r.Exact) != "a\xffb" || r.Error != "oops\n" ||
		r.Exit == nil || *r.Exit != 3 || r.Metrics["cpu_time"] == nil {
		t.Errorf("%+v", got)
	}
	list := data[deviceList](t, s.get("/api/v1/devices?status=online"))
	one := data[shownDevice](t, s.get("/api/v1/devices/pixel"))
	if list.Count != 1 || list.Devices[0].ID != "pixel-3a" || one.ID != "pixel-3a" || one.Tasks == nil {
		t.Errorf("%+v %+v", list, one)
	}
}

func TestTaskPages(t *testing.T) {
	s := newSite(t)
	var want []string
	for range 5 {
		want = append(want, s.submit(echo)...)
	}
	for _, newest := range []bool{false, true} {
		var got []string
		path := fmt.Sprintf("/api/v1/tasks?limit=2&newest=%v&state=queued,running", newest)
		for after := ""; ; {
			page := data[taskList](t, s.get(path+after))
			for i := range page.Tasks {
				got = append(got, page.Tasks[i].ID.String())
			}
			if page.Count != len(page.Tasks) || page.Count > 2 {
				t.Error(page.Count)
			}
			if page.Next.IsZero() {
				break
			}
			after = "&after=" + page.Next.String()
		}
		if newest {
			for i := range len(got) / 2 {
				got[i], got[len(got)-1-i] = got[len(got)-1-i], got[i]
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("newest %v: %v, want %v", newest, got, want)
		}
	}
}

func TestRefusalOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{wire.ErrAuth, 401, "E_AUTH"},
		{own(wire.ErrAuth), 502, "E_AUTH"},
		{own(wire.ErrForbidden), 502, "E_AUTH"},
		{wire.ErrForbidden, 403, "E_FORBIDDEN"},
		{wire.ErrJoin, 403, "E_JOIN_TOKEN"},
		{wire.ErrProto, 502, "E_PROTO"},
		{wire.ErrTooLarge, 413, "E_TOO_LARGE"},
		{wire.ErrJSON, 400, "E_JSON"},
		{wire.ErrField, 400, "E_FIELD"},
		{wire.ErrUnknownType, 502, "E_UNKNOWN_TYPE"},
		{wire.ErrStaleSession, 503, "E_STALE_SESSION"},
		{&wire.Error{Code: "E_RATE", RetryAfter: 2500}, 429, "E_RATE"},
		{wire.ErrStorageFull, 503, "E_STORAGE_FULL"},
		{wire.ErrShutdown, 503, "E_SHUTDOWN"},
		{wire.ErrTimeout, 504, "E_TIMEOUT"},
		{wire.ErrConflict, 409, "E_CONFLICT"},
		{task.ErrNotFound, 404, "E_NOT_FOUND"},
		{task.ErrAmbiguous, 409, "E_AMBIGUOUS"},
		{task.ErrBadID, 400, "E_BAD_ID"},
		{task.ErrInvalid, 400, "E_TASK"},
		{task.ErrMove, 409, "E_MOVE"},
		{task.ErrKeyReused, 409, "E_IDEM_MISMATCH"},
		{task.ErrQueueFull, 503, "E_QUEUE_FULL"},
		{device.ErrNotFound, 404, "E_NO_DEVICE"},
		{device.ErrBadName, 400, "E_DEVICE_NAME"},
		{wire.ErrInternal, 500, "E_INTERNAL"},
		{&wire.Error{Code: "E_OF_A_NEWER_MAIN_NODE", Text: "x"}, 500, "E_OF_A_NEWER_MAIN_NODE"},
		{errors.New("secret of this process"), 500, "E_INTERNAL"},
		{&client.UnreachableError{Main: "x:1", Err: errors.New("gone")}, 503, "E_UNREACHABLE"},
		{&client.NotFoundError{}, 503, "E_UNREACHABLE"},
		{fmt.Errorf("read: %w", http.ErrHandlerTimeout), 500, "E_INTERNAL"},
	} {
		got, wait := refusalOf(c.err)
		if got.status != c.status || got.code != c.code || wait < soon || strings.Contains(got.message, "secret of") {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}
