package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The types that every worker brings along. Any other name is a custom type: a file in a worker's tasks.d.
const (
	TypeCommand    = "command"
	TypeShell      = "shell"
	TypePythonEval = "python_eval"
	TypeEcho       = "echo"
	TypeSleep      = "sleep"
	TypeSystemInfo = "system_info"
	TypeHTTP       = "http_request"
)

// Limits of what one task may carry.
const (
	MaxPayload     = 256 << 10 // bytes
	MaxEnvironment = 64        // variables
	MaxTags        = 64
	MaxName        = 200 // bytes
	MaxRetries     = 100
	MaxTimeout     = 365 * 24 * 3600 // seconds
	MaxRetryOn     = 32              // exit codes
	MinBackoff     = 0.001           // seconds
	MaxBackoff     = 24 * 3600       // seconds
	DefaultBackoff = 2               // seconds
)

// Command is the payload of the type command: a program with its arguments, without a shell.
type Command struct {
	Argv        []string          `json:"argv"`
	Stdin       string            `json:"stdin,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
}

// Shell is the payload of the type shell: a script for sh.
type Shell struct {
	Script      string            `json:"script"`
	Stdin       string            `json:"stdin,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
}

// PythonEval is the payload of the type python_eval: one Python expression, whose value is the answer.
type PythonEval struct {
	Expression  string            `json:"expression"`
	Environment map[string]string `json:"environment,omitempty"`
}

// Echo is the payload of the type echo: the answer is the message.
type Echo struct {
	Message string `json:"message"`
}

// Sleep is the payload of the type sleep.
type Sleep struct {
	Seconds float64 `json:"seconds"`
}

// HTTP is the payload of the type http_request. The answer is the body of the reply.
type HTTP struct {
	URL     string            `json:"url"`
	Method  string            `json:"method,omitempty"` // GET
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// IsValue says whether tasks of the type answer a value rather than run a program: the value has no newline
// behind it, and one is put there when it is printed.
func IsValue(taskType string) bool {
	switch taskType {
	case TypePythonEval, TypeEcho, TypeSystemInfo, TypeHTTP:
		return true
	}
	return false
}

// RunsProgram says whether tasks of the type run a program that who submits them, or who keeps the device, has chosen. All custom types do.
func RunsProgram(taskType string) bool {
	switch taskType {
	case TypeEcho, TypeSleep, TypeSystemInfo, TypeHTTP:
		return false
	}
	return true
}

var (
	typeName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	tagName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=-]{0,63}$`)
	verb     = regexp.MustCompile(`^[A-Z]{1,16}$`)
)

// CheckType says whether s can name a type of task. The error is ErrInvalid.
func CheckType(s string) error {
	if !typeName.MatchString(s) {
		return invalid("task_type %.40q: lower-case letters, digits, '_', '.', '-'; at most 64", s)
	}
	return nil
}

// Validate says what is wrong with a spec, in words for the person who wrote it. The error is ErrInvalid, of which ErrLimit is one.
func (s *Spec) Validate() error {
	if err := CheckType(s.Type); err != nil {
		return err
	}
	switch {
	case len(s.Name) > MaxName || !clean(s.Name):
		return invalid("name: at most %d bytes of text without control characters", MaxName)
	case s.Priority < Low || s.Priority > Urgent:
		return invalid("priority %d: one of low, normal, high, urgent", s.Priority)
	case !(s.Timeout >= 0 && s.Timeout <= MaxTimeout):
		return invalid("timeout %v: between 0 (none) and a year, in seconds", s.Timeout)
	case s.Retries < 0 || s.Retries > MaxRetries:
		return invalid("max_retries %d: between 0 and %d", s.Retries, MaxRetries)
	case len(s.Payload) > MaxPayload:
		return tooMuch("payload of %d bytes: at most %d", len(s.Payload), MaxPayload)
	}
	if err := s.Policy.validate(s.Retries); err != nil {
		return err
	}
	if err := s.Limits.validate(); err != nil {
		return err
	}
	if err := s.Files.Validate(); err != nil {
		return err
	}
	if err := s.Secrets.Validate(); err != nil {
		return err
	}
	switch {
	case RunsProgram(s.Type):
	case s.Files != nil:
		return invalid("files go with types that run a program, and %s does not", s.Type)
	case s.Secrets != nil:
		return invalid("secrets go with types that run a program, and %s does not", s.Type)
	}
	if err := s.Requirements.Validate(); err != nil {
		return err
	}
	return checkPayload(s.Type, s.Payload)
}

func (p *Policy) validate(retries int) error {
	switch {
	case p.AtMostOnce && retries > 0:
		return invalid("at_most_once and max_retries %d: what runs at most once is not retried", retries)
	case p.Backoff != 0 && !(p.Backoff >= MinBackoff && p.Backoff <= MaxBackoff):
		return invalid("backoff %v: between %v and %d seconds (a day)", p.Backoff, MinBackoff, MaxBackoff)
	case retries == 0 && p.Backoff != 0:
		return invalid("backoff without max_retries: there is no retry to wait for")
	case retries == 0 && len(p.RetryOn) > 0:
		return invalid("retry_on without max_retries: there is no retry")
	case len(p.RetryOn) > MaxRetryOn:
		return invalid("retry_on: %d exit codes, at most %d", len(p.RetryOn), MaxRetryOn)
	}
	for _, code := range p.RetryOn {
		if code < 1 || code > 255 {
			return invalid("retry_on %d: exit codes between 1 and 255", code)
		}
	}
	return nil
}

// Again says whether a failed attempt with this exit code is to be followed by another. What has no exit code did not run, by no fault
// of its own.
func (p *Policy) Again(exit *int) bool {
	return len(p.RetryOn) == 0 || exit == nil || slices.Contains(p.RetryOn, *exit)
}

// mostWait is how long a task waits for its retry at most, unless its first wait is longer.
const mostWait = 5 * time.Minute

// Wait is how long a task waits after its n-th failure, n from 1: its backoff, twice that, and so on up to five minutes.
func (p *Policy) Wait(n int) time.Duration {
	seconds := p.Backoff
	if seconds == 0 {
		seconds = DefaultBackoff
	}
	wait, most := time.Duration(seconds*float64(time.Second)), p.MostWait()
	for ; n > 1 && wait < most; n-- {
		wait *= 2
	}
	return min(wait, most)
}

// MostWait is the longest that Wait can be.
func (p *Policy) MostWait() time.Duration {
	return max(mostWait, time.Duration(p.Backoff*float64(time.Second)))
}

// MaxSandbox is the highest level of confinement, see executor.
const MaxSandbox = 4

func (l *Limits) validate() error {
	switch {
	case l == nil:
		return nil
	case l.Memory < 0 || l.Disk < 0 || l.Processes < 0:
		return invalid("limits: none is negative")
	case !(l.CPUs >= 0 && l.CPUs <= 1<<16):
		return invalid("limits: cpus %v: a number of processors", l.CPUs)
	}
	return nil
}

// Validate says what is wrong with requirements. The error is ErrInvalid, of which ErrLimit is one.
func (r *Requirements) Validate() error {
	switch {
	case r.CPUCores < 0 || r.CPUCores > 1<<16:
		return invalid("min_cpu_cores %d: between 0 and 65536", r.CPUCores)
	case !(r.MemoryGB >= 0 && r.MemoryGB <= 1<<30):
		return invalid("min_memory_gb %v: a positive number", r.MemoryGB)
	case !(r.StorageGB >= 0 && r.StorageGB <= 1<<30):
		return invalid("min_storage_gb %v: a positive number", r.StorageGB)
	case r.Sandbox < 0 || r.Sandbox > MaxSandbox:
		return invalid("min_sandbox %d: a level between 0 and %d", r.Sandbox, MaxSandbox)
	case len(r.Tags) > MaxTags:
		return tooMuch("%d tags: at most %d", len(r.Tags), MaxTags)
	}
	for _, s := range append([]string{r.Platform, r.Role, r.Device}, r.Tags...) {
		if s != "" && !tagName.MatchString(s) {
			return invalid("requirement %.40q: letters, digits, '.', '_', ':', '=', '-'; at most 64", s)
		}
	}
	return nil
}

func checkPayload(taskType string, payload json.RawMessage) error {
	switch taskType {
	case TypeCommand:
		return check(payload, func(p *Command) error {
			if len(p.Argv) == 0 || p.Argv[0] == "" {
				return invalid("payload.argv: name a program")
			}
			if strings.ContainsRune(strings.Join(p.Argv, ""), 0) {
				return invalid("payload.argv: has a NUL character")
			}
			return checkEnvironment(p.Environment)
		})
	case TypeShell:
		return check(payload, func(p *Shell) error {
			if strings.TrimSpace(p.Script) == "" || strings.ContainsRune(p.Script, 0) {
				return invalid("payload.script: empty, or with a NUL character")
			}
			return checkEnvironment(p.Environment)
		})
	case TypePythonEval:
		return check(payload, func(p *PythonEval) error {
			if strings.TrimSpace(p.Expression) == "" {
				return invalid("payload.expression: empty")
			}
			return checkEnvironment(p.Environment)
		})
	case TypeEcho:
		return check(payload, func(*Echo) error { return nil })
	case TypeSleep:
		return check(payload, func(p *Sleep) error {
			if !(p.Seconds >= 0 && p.Seconds <= MaxTimeout) {
				return invalid("payload.seconds %v: between 0 and a year", p.Seconds)
			}
			return nil
		})
	case TypeHTTP:
		return check(payload, checkHTTP)
	}
	return check(payload, func(*map[string]json.RawMessage) error { return nil })
}

func checkHTTP(p *HTTP) error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return invalid("payload.url %.80q: an http or https address", p.URL)
	}
	if p.Method != "" && !verb.MatchString(p.Method) {
		return invalid("payload.method %.20q: such as GET or POST", p.Method)
	}
	for k, v := range p.Headers {
		if strings.ContainsAny(k+v, "\r\n\x00") {
			return invalid("payload.headers: %.40q has a line break", k)
		}
	}
	return nil
}

// check decodes a payload strictly, so that a misspelt field is refused when it is submitted, not ignored at night.
func check[T any](payload json.RawMessage, valid func(*T) error) error {
	if len(payload) == 0 {
		payload = json.RawMessage("{}")
	}
	var p T
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return invalid("payload: %s", plain(err))
	}
	if payload[0] != '{' && bytes.TrimSpace(payload)[0] != '{' {
		return invalid("payload: not a JSON object")
	}
	if d.More() {
		return invalid("payload: more than one JSON object")
	}
	return valid(&p)
}

func checkEnvironment(env map[string]string) error {
	if len(env) > MaxEnvironment {
		return tooMuch("payload.environment: %d variables, at most %d", len(env), MaxEnvironment)
	}
	for k, v := range env {
		if !envName.MatchString(k) || strings.ContainsRune(v, 0) {
			return invalid("payload.environment: %.40q is not a variable's name, or its value has a NUL character", k)
		}
	}
	return nil
}

// plain says in the payload's words what encoding/json says in Go's.
func plain(err error) string {
	s := strings.TrimPrefix(err.Error(), "json: ")
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		if t.Field == "" {
			return "not a JSON object"
		}
		return fmt.Sprintf("%s is a %s, which does not belong there", t.Field, t.Value)
	}
	if err.Error() == "EOF" || err.Error() == "unexpected EOF" {
		return "the JSON ends too early"
	}
	return s
}

func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func tooMuch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
