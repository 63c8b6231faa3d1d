package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// payload is what --payload says.
func (s *Spec) payload(line *string) (json.RawMessage, error) {
	text := s.Payload
	if line != nil {
		text, _ = fillJSON(text, *line)
	}
	return withEnvironment(json.RawMessage(text), s.Env)
}

// loadPayload reads the file that --payload names.
func (s *Spec) loadPayload(stdin io.Reader) (err error) {
	var b []byte
	switch path, isFile := strings.CutPrefix(s.Payload, "@"); {
	case isFile:
		b, err = readBounded(path, maxLine)
	case s.Payload == "-" && stdin != nil:
		b, err = readAll(stdin, "standard input", maxLine)
	default:
		return nil
	}
	if err != nil {
		return badInput("--payload: %w", err)
	}
	s.Payload = string(b)
	return nil
}

// withEnvironment adds variables to those of a payload.
func withEnvironment(payload json.RawMessage, env map[string]string) (json.RawMessage, error) {
	if len(bytes.TrimSpace(payload)) == 0 {
		payload = json.RawMessage("{}")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("payload: not a JSON object: %.60s", payload)
	}
	if len(env) == 0 {
		return payload, nil
	}
	all := map[string]string{}
	if own := fields["environment"]; own != nil {
		if err := json.Unmarshal(own, &all); err != nil {
			return nil, errors.New("payload: environment: not an object of strings")
		}
	}
	for k, v := range env {
		all[k] = v
	}
	merged, err := encode(all)
	if err != nil {
		return nil, err
	}
	fields["environment"] = merged
	return encode(fields)
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
