package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// decodeStrict decodes one JSON value; what the type has no field for is refused.
func decodeStrict(b []byte, into any) error {
	if err := wire.CheckJSON(b); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return notJSON(err)
	}
	return nil
}

// objectFields gives the fields of an object.
func objectFields(b []byte) (fields map[string]json.RawMessage, err error) {
	if err := wire.CheckJSON(b); err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	if bytes.TrimSpace(b)[0] != '{' {
		return nil, invalid("the body is not a JSON object")
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, notJSON(err)
	}
	return fields, nil
}

// notJSON says in the sender's words what encoding/json says in Go's.
func notJSON(err error) error {
	why := strings.TrimPrefix(err.Error(), "json: ")
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		why = fmt.Sprintf("%s cannot be a %s", t.Field, t.Value)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		why = "it ends too early"
	}
	if len(why) > 200 {
		why = strings.ToValidUTF8(why[:200], "") + "…"
	}
	return invalid("the body: %s", why)
}
