package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const (
	maxReply     = 1 << 20 // bytes of a reply's body
	maxRedirects = 5
	dialTimeout  = 30 * time.Second
)

// newHTTPClient returns a client that heeds no proxy of this process's environment, keeps no connection for the next
// task, and looks at every address it connects to: after names were resolved, and again at each redirect.
func newHTTPClient(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: resolver()}
	if !private {
		dialer.Control = refusePrivate
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialTimeout,
			MaxResponseHeaderBytes: 256 << 10,
		},
		CheckRedirect: checkRedirect,
	}
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return fmt.Errorf("redirected to %s, which is neither http nor https", r.URL.Scheme)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// request answers the body of the reply to one HTTP request.
func (x *Executor) request(ctx context.Context, p *task.HTTP, out *output) task.Result {
	req, err := newRequest(ctx, p)
	if err != nil {
		return notRun("payload: %v", err)
	}
	reply, err := x.http.Do(req)
	if err != nil {
		return requestFailed(ctx, req.URL.Host, err)
	}
	defer reply.Body.Close()
	n, err := io.Copy(stream{out, task.Stdout}, io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return requestFailed(ctx, req.URL.Host, err)
	}
	r := completed()
	if reply.StatusCode >= 400 {
		r = ended(1, "HTTP "+status(reply))
	}
	if n == maxReply && !atEnd(reply.Body) {
		note(&r, "reply longer than %s; the rest was not read", size(maxReply))
	}
	return r
}

func newRequest(ctx context.Context, p *task.HTTP) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, p.Method, p.URL, strings.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	if req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return nil, errors.New("url: neither an http nor an https address")
	}
	req.Header.Set("User-Agent", "retire-cluster")
	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

func requestFailed(ctx context.Context, host string, err error) task.Result {
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address again, which may hold secrets
	}
	return ended(1, fmt.Sprintf("%s: %v", host, err))
}

// status is a reply's code with the words that belong to it, not those the server chose.
func status(reply *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", reply.StatusCode, http.StatusText(reply.StatusCode)))
}

func atEnd(r io.Reader) bool {
	n, err := io.ReadFull(r, make([]byte, 1))
	return n == 0 && err != nil
}
