package wire

import (
	"encoding/json"
	"fmt"
)

// Version is the version of the protocol that this package speaks, the lowest and the highest.
const Version = 1

// Message is the envelope of all that is said.
type Message struct {
	Type      string          `json:"message_type"`
	Sender    string          `json:"sender_id,omitempty"`
	Target    string          `json:"target_id,omitempty"`
	ID        string          `json:"message_id,omitempty"`
	ReplyTo   string          `json:"reply_to,omitempty"`
	Timestamp string          `json:"timestamp,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"` // of a message that was read
	Body      any             `json:"-"`              // of a message to be written
}

// The types of messages.
const (
	TypeHello        = "hello"
	TypeWelcome      = "welcome"
	TypeJoin         = "join"
	TypeRegister     = "register"
	TypeHeartbeat    = "heartbeat"
	TypeTaskAssign   = "task_assign"
	TypeTaskAccept   = "task_accept"
	TypeTaskProgress = "task_progress"
	TypeTaskOutput   = "task_output"
	TypeTaskResult   = "task_result"
	TypeTaskRelease  = "task_release"
	TypeTaskCancel   = "task_cancel"
	TypeTaskRecall   = "task_recall"
	TypeBye          = "bye"
	TypeAck          = "ack"
	TypeError        = "error"

	TypePing         = "ping"
	TypeStatus       = "status"
	TypeMetrics      = "metrics"
	TypeDevices      = "devices"
	TypeDevice       = "device"
	TypeTasks        = "tasks"
	TypeTask         = "task"
	TypeSubmit       = "submit"
	TypeCancel       = "cancel"
	TypeRetry        = "retry"
	TypeDrain        = "drain"
	TypeUndrain      = "undrain"
	TypeRemove       = "remove"
	TypeApprove      = "approve"
	TypeWake         = "wake"
	TypeInvite       = "invite"
	TypeTokenMake    = "token_make"
	TypeTokenList    = "token_list"
	TypeTokenRevoke  = "token_revoke"
	TypeLoginMake    = "login_make"
	TypeLogin        = "login"
	TypeLogout       = "logout"
	TypeRotateKey    = "rotate_key"
	TypePin          = "pin"
	TypeFollowAudit  = "follow_audit"
	TypeAudited      = "audited"
	TypeFollowEvents = "follow_events"
	TypeFollowOutput = "follow_output"
	TypeUnfollow     = "unfollow"
	TypeEvent        = "event"
	TypeOutput       = "output"
	TypeFileGet      = "file_get"
	TypeFilePut      = "file_put"
)

// Range is the versions of the protocol that somebody speaks.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Spoken is the range of this package.
var Spoken = Range{Min: Version, Max: Version}

// Common is the highest version in both ranges; the error is ErrProto.
func (r Range) Common(o Range) (int, error) {
	v := min(r.Max, o.Max)
	if v < max(r.Min, o.Min) || v < 1 {
		return 0, Errorf(ErrProto, "the main node speaks versions %d to %d, you %d to %d", r.Min, r.Max, o.Min, o.Max)
	}
	return v, nil
}

// Decode reads the data of a message. The error is ErrField and names the message.
func (m *Message) Decode(into any) error {
	if len(m.Data) == 0 {
		return nil
	}
	if q, ok := into.(quick); ok && q.quick(cursor(m.Data)) {
		return nil
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("%s: %w: %s", m.Type, ErrField, why(err))
	}
	return nil
}

func why(err error) string {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Sprintf("%s cannot be a %s", t.Field, t.Value)
	}
	s := err.Error()
	if len(s) > 120 {
		s = s[:120]
	}
	return s
}
