package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// refusal is an answer that is an error.
type refusal struct {
	status  int
	code    string // as on the wire
	message string
	wait    time.Duration // before another try; 0: as usual
}

func (e *refusal) Error() string { return e.message }

func refused(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return refused(http.StatusBadRequest, "E_FIELD", format, args...)
}

// statuses is the one table from the main node's errors to those of HTTP.
var statuses = map[string]int{
	"E_AUTH":           http.StatusUnauthorized,
	"E_FORBIDDEN":      http.StatusForbidden,
	"E_TYPE_FORBIDDEN": http.StatusForbidden,
	"E_JOIN_TOKEN":     http.StatusForbidden,
	"E_REVOKED":        http.StatusForbidden,
	"E_PENDING":        http.StatusServiceUnavailable,
	"E_LIMIT":          http.StatusBadRequest,
	"E_NO_FILE":        http.StatusNotFound,
	"E_PROTO":          http.StatusBadGateway,
	"E_TOO_LARGE":      http.StatusRequestEntityTooLarge,
	"E_JSON":           http.StatusBadRequest,
	"E_FIELD":          http.StatusBadRequest,
	"E_UNKNOWN_TYPE":   http.StatusBadGateway,
	"E_STALE_SESSION":  http.StatusServiceUnavailable,
	"E_RATE":           http.StatusTooManyRequests,
	"E_STORAGE_FULL":   http.StatusServiceUnavailable,
	"E_SHUTDOWN":       http.StatusServiceUnavailable,
	"E_TIMEOUT":        http.StatusGatewayTimeout,
	"E_CONFLICT":       http.StatusConflict,
	"E_NOT_FOUND":      http.StatusNotFound,
	"E_AMBIGUOUS":      http.StatusConflict,
	"E_BAD_ID":         http.StatusBadRequest,
	"E_TASK":           http.StatusBadRequest,
	"E_MOVE":           http.StatusConflict,
	"E_IDEM_MISMATCH":  http.StatusConflict,
	"E_QUEUE_FULL":     http.StatusServiceUnavailable,
	"E_NO_DEVICE":      http.StatusNotFound,
	"E_DEVICE_NAME":    http.StatusBadRequest,
	"E_INTERNAL":       http.StatusInternalServerError,
}

// soon is when to try again where nobody says otherwise.
const soon = 2 * time.Second

// refusalOf makes an answer of any error, and says when to try again.
func refusalOf(err error) (*refusal, time.Duration) {
	var r *refusal
	var o ownError
	switch {
	case errors.As(err, &r):
		return r, max(r.wait, soon)
	case isUnreachable(err):
		return refused(http.StatusServiceUnavailable, "E_UNREACHABLE", "%v", err), soon
	case errors.As(err, &o):
		return refused(http.StatusBadGateway, "E_AUTH", "the main node does not take rc-web's own token: %v", err), soon
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return refused(http.StatusGatewayTimeout, "E_TIMEOUT", "the main node did not answer in time"), soon
	}
	e := wire.NewError(err)
	status, known := statuses[e.Code]
	if !known {
		status = http.StatusInternalServerError
	}
	return refused(status, e.Code, "%s", e.Text), max(e.Wait(), soon)
}

// refuse answers with an error: with JSON where JSON is spoken, browsers with a page, elsewhere with a line.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	problem, wait := refusalOf(err)
	if problem.status >= 500 {
		s.log.Debug("cannot answer", "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	if problem.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	setRetryAfter(w, problem.status, wait)
	if strings.HasPrefix(r.URL.Path, "/api/") || mediaOf(r) == "application/json" {
		writeJSON(w, problem.status, &envelope{Status: "error", Message: problem.message, Code: problem.code})
		return
	}
	if isPage(r) {
		s.showTrouble(w, r, problem)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(problem.status)
	fmt.Fprintln(w, text.Sanitize(problem.message))
}

// setRetryAfter says when to try again, where that helps.
func setRetryAfter(w http.ResponseWriter, status int, wait time.Duration) {
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// envelope stands around all JSON, as it did in the first Retire-Cluster.
type envelope struct {
	Status  string `json:"status"`
	Data    any    `json:"data,omitempty"`
	Message string `json:"message,omitempty"`
	Code    string `json:"error_code,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, e *envelope) {
	b, status := encode(e, status)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

func encode(e *envelope, status int) ([]byte, int) {
	b, err := json.Marshal(e)
	if err != nil { // of our own types: a bug
		return []byte(`{"status":"error","message":"internal error","error_code":"E_INTERNAL"}` + "\n"), http.StatusInternalServerError
	}
	return append(b, '\n'), status
}

// writeData answers with data; who reads and has it already is only told so.
func writeData(w http.ResponseWriter, r *http.Request, status int, data any) {
	b, status := encode(&envelope{Status: "success", Data: data}, status)
	if status == http.StatusOK && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		tag := tagOf(b)
		w.Header().Set("ETag", tag)
		if hasAlready(r, tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

// statusOf is 201 where something was made.
func statusOf(data any) int {
	switch data.(type) {
	case *submitted, *tokenMade, *invited:
		return http.StatusCreated
	}
	return http.StatusOK
}

// plain is a handler that may fail before it has answered anything.
func (s *Server) plain(answer func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := answer(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// json is a handler whose answer is data in an envelope.
func (s *Server) json(answer func(context.Context, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTime)
		defer cancel()
		data, err := answer(ctx, r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		writeData(w, r, statusOf(data), data)
	})
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	if err := s.ping(ctx); err != nil {
		if !s.isOpen(r) {
			err = withoutPlace(err)
		}
		problem, _ := refusalOf(err)
		return refused(http.StatusServiceUnavailable, problem.code, "%s", problem.message)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
	return nil
}
