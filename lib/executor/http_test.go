package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// serveHTTP is a server with a page for each case.
func serveHTTP(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.Header.Get("X-Colour"), r.Host, body)
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		if n == 0 {
			fmt.Fprint(w, "there")
			return
		}
		http.Redirect(w, r, "/hop/"+strconv.Itoa(n-1), http.StatusFound)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/size/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.Write(make([]byte, n))
	})
	mux.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func newHTTPBench(t *testing.T, private bool) func(p task.HTTP) (task.Result, string) {
	x, err := New(Options{Dir: t.TempDir(), AllowPrivateNet: private})
	if err != nil {
		t.Fatal(err)
	}
	return func(p task.HTTP) (task.Result, string) {
		payload, _ := json.Marshal(p)
		var out strings.Builder
		a := Attempt{Spec: task.Spec{Type: task.TypeHTTP, Payload: payload}}
		if strings.HasSuffix(p.URL, "/stuck") {
			a.Spec.Timeout = 0.2
		}
		r := x.Run(context.Background(), a, func(_ task.Stream, data []byte) { out.Write(data) })
		return r, out.String()
	}
}

func TestHTTP(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1") // not heeded
	url := serveHTTP(t)
	host := strings.TrimPrefix(url, "http://")
	do := newHTTPBench(t, true)
	for _, c := range []struct {
		p           task.HTTP
		status      task.Outcome
		code        int
		reason, out string
	}{
		{task.HTTP{URL: url + "/hello"}, task.AttemptCompleted, 0, "", "GET  " + host + ` ""`},
		{task.HTTP{URL: url + "/hello", Method: "POST", Body: "b\n", Headers: map[string]string{"X-Colour": "blue", "host": "h.example"}},
			task.AttemptCompleted, 0, "", `POST blue h.example "b\n"`},
		{task.HTTP{URL: url + "/hop/5"}, task.AttemptCompleted, 0, "", "there"},
		{task.HTTP{URL: url + "/hop/6"}, task.AttemptFailed, 1, host + ": more than 5 redirects", ""},
		{task.HTTP{URL: url + "/away"}, task.AttemptFailed, 1,
			host + ": redirected to file, which is neither http nor https", ""},
		{task.HTTP{URL: url + "/none"}, task.AttemptFailed, 1, "HTTP 404 Not Found", "404 page not found\n"},
		{task.HTTP{URL: url + "/size/1048576"}, task.AttemptCompleted, 0, "", string(make([]byte, 1<<20))},
		{task.HTTP{URL: url + "/size/1048577"}, task.AttemptCompleted, 0,
			"reply longer than 1 MiB; the rest was not read", string(make([]byte, 1<<20))},
		{task.HTTP{URL: url + "/stuck"}, task.AttemptTimedOut, 124, "ran longer than its timeout of 200ms", ""},
		{task.HTTP{URL: "ftp://example.com/"}, task.AttemptFailed, -1,
			"payload: url: neither an http nor an https address", ""},
	} {
		r, out := do(c.p)
		code := -1
		if r.ExitCode != nil {
			code = *r.ExitCode
		}
		if r.Status != c.status || code != c.code || r.Reason != c.reason || out != c.out {
			t.Errorf("%s: %s, %d, %q, %.100q", c.p.URL, r.Status, code, r.Reason, out)
		}
	}
}

func TestHTTPRefusesPrivate(t *testing.T) {
	url := serveHTTP(t)
	port := url[strings.LastIndex(url, ":"):]
	do := newHTTPBench(t, false)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"} {
		r, out := do(task.HTTP{URL: "http://" + host + port + "/hello"})
		if r.Status != task.AttemptFailed || out != "" {
			t.Errorf("%s: %s, %q", host, r.Status, out)
		}
		refused := strings.HasSuffix(r.Reason, "http_request may not reach private addresses from this device")
		if !refused && host != "2130706433" { // a name, which is not resolved
			t.Errorf("%s: %s", host, r.Reason)
		}
	}
}

func TestPublic(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "172.32.0.1"} {
		if !isPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{"127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00::1", "fc00::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::",
		"255.255.255.255", "0.1.2.3", "100.64.0.1", "198.18.0.1", "240.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "fec0::1", "::127.0.0.1"} {
		if isPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
}
