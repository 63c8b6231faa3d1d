package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// decodeStrict decodes one JSON value; what the type has no field for is refused.
func decodeStrict(b []byte, into any) error {
	if err := checkJSON(b); err != nil {
		return err
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
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	if bytes.TrimSpace(b)[0] != '{' {
		return nil, invalid("the body is not a JSON object")
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, notJSON(err)
	}
	return fields, nil
}

// checkJSON finds what encoding/json takes without a word: a field that stands twice, also where only the case differs, which to
// two readers may mean two things; and what is nested so deep that reading it costs too much.
func checkJSON(b []byte) error {
	if !utf8.Valid(b) {
		return notJSON(errors.New("not UTF-8"))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := checkValue(d, 0, true); err != nil {
		return notJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return notJSON(errors.New("something stands behind the JSON value"))
	}
	return nil
}

// checkValue checks the next value. fold says that keys which differ in case only are the same: within a payload
// they are its own affair.
func checkValue(d *json.Decoder, depth int, fold bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth++; depth > wire.MaxDepth {
		return fmt.Errorf("nested deeper than %d", wire.MaxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		inner := fold
		if open == '{' {
			if inner, err = checkKey(d, seen, fold); err != nil {
				return err
			}
		}
		if err := checkValue(d, depth, inner); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func checkKey(d *json.Decoder, seen map[string]bool, fold bool) (inner bool, err error) {
	token, err := d.Token()
	if err != nil {
		return false, err
	}
	key, _ := token.(string)
	same := key
	if fold {
		same = strings.ToLower(key)
	}
	if seen[same] {
		return false, fmt.Errorf("the field %.40q stands twice", key)
	}
	seen[same] = true
	return fold && key != "payload", nil
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
