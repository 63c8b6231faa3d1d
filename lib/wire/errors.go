package wire

import (
	"errors"
	"fmt"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Errors of the protocol itself; those of tasks and devices stand beside their nouns.
var (
	ErrAuth         = errors.New("not known here")
	ErrForbidden    = errors.New("not permitted")
	ErrType         = errors.New("this token may not submit tasks of this type")
	ErrRevoked      = errors.New("this device was removed from the cluster, and its key with it")
	ErrPending      = errors.New("this device has joined and waits to be approved")
	ErrJoin         = errors.New("the join code is wrong, used or too old")
	ErrProto        = errors.New("no common version of the protocol")
	ErrTooLarge     = errors.New("message too large")
	ErrJSON         = errors.New("not a JSON message")
	ErrField        = errors.New("not a valid field")
	ErrUnknownType  = errors.New("unknown message type")
	ErrStaleSession = errors.New("a newer session of this device is known")
	ErrTwoMachines  = errors.New("two machines use the same key")
	ErrBusy         = errors.New("too much at once")
	ErrNoFile       = errors.New("the main node does not have it")
	ErrStorageFull  = errors.New("the main node's disk is full")
	ErrShutdown     = errors.New("the main node is stopping")
	ErrTimeout      = errors.New("timed out")
	ErrConflict     = errors.New("in conflict with how things are")
	ErrInternal     = errors.New("internal error")
)

// codes is the one table of errors that cross the wire, with the exit status of a command that meets them.
var codes = []struct {
	code   string
	err    error
	status int
}{
	{"E_AUTH", ErrAuth, 77},
	{"E_FORBIDDEN", ErrForbidden, 77},
	{"E_TYPE_FORBIDDEN", ErrType, 77},
	{"E_JOIN_TOKEN", ErrJoin, 77},
	{"E_REVOKED", ErrRevoked, 77},
	{"E_PENDING", ErrPending, 75},
	{"E_PROTO", ErrProto, 78},
	{"E_TOO_LARGE", ErrTooLarge, 65},
	{"E_JSON", ErrJSON, 65},
	{"E_FIELD", ErrField, 65},
	{"E_LIMIT", task.ErrLimit, 65},
	{"E_UNKNOWN_TYPE", ErrUnknownType, 70},
	{"E_STALE_SESSION", ErrStaleSession, 75},
	{"E_DUPLICATE_IDENTITY", ErrTwoMachines, 78},
	{"E_RATE", ErrBusy, 75},
	{"E_STORAGE_FULL", ErrStorageFull, 75},
	{"E_NO_FILE", ErrNoFile, 1},
	{"E_SHUTDOWN", ErrShutdown, 75},
	{"E_TIMEOUT", ErrTimeout, 75},
	{"E_CONFLICT", ErrConflict, 1},
	{"E_NOT_FOUND", task.ErrNotFound, 1},
	{"E_AMBIGUOUS", task.ErrAmbiguous, 1},
	{"E_BAD_ID", task.ErrBadID, 65},
	{"E_TASK", task.ErrInvalid, 65},
	{"E_MOVE", task.ErrMove, 1},
	{"E_IDEM_MISMATCH", task.ErrKeyReused, 65},
	{"E_QUEUE_FULL", task.ErrQueueFull, 75},
	{"E_NO_DEVICE", device.ErrNotFound, 1},
	{"E_DEVICE_NAME", device.ErrBadName, 65},
	{"E_INTERNAL", ErrInternal, 70},
}

// Error is an error as it crosses the wire.
type Error struct {
	Code       string `json:"code"`
	Text       string `json:"error"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
	BootCount  int64  `json:"boot_count,omitempty"` // with E_STALE_SESSION: the newest that is known
}

// NewError makes of any error what may be told to the other side. What the table does not know is internal: its
// text is for the log, not for the wire.
func NewError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &Error{Code: c.code, Text: err.Error()}
		}
	}
	return &Error{Code: "E_INTERNAL", Text: "internal error; the main node's log tells more"}
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives the error that the code stands for, so that errors.Is works across the wire.
func (e *Error) Unwrap() error {
	for _, c := range codes {
		if c.code == e.Code {
			return c.err
		}
	}
	return ErrInternal
}

// ExitStatus is the status with which a command ends that met this error.
func (e *Error) ExitStatus() int {
	for _, c := range codes {
		if c.code == e.Code {
			return c.status
		}
	}
	return 70
}

// Wait is how long the other side asks to wait before trying again.
func (e *Error) Wait() time.Duration { return time.Duration(e.RetryAfter) * time.Millisecond }

// Errorf makes an error of the table, with a sentence that says what was being done to what. Sentinels that are only kinds of such
// sentences are not put behind it; the others, which say what is the matter, are.
func Errorf(sentinel error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	switch sentinel {
	case ErrAuth, ErrForbidden, ErrField, ErrConflict, ErrProto, ErrBusy:
		return &said{text, sentinel}
	}
	return fmt.Errorf("%s: %w", text, sentinel)
}

type said struct {
	text string
	kind error
}

func (e *said) Error() string { return e.text }
func (e *said) Unwrap() error { return e.kind }
