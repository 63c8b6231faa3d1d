package wire

import "bytes"

// split takes a message apart that CheckJSON has seen, as nearly all are written: an object of the envelope's fields, whose texts need no escape. It does not
// look at the data again, as the decoder of encoding/json would three times. ok is false where it is written otherwise, or is no message: then that decoder
// says what it is.
func split(line []byte) (m Message, ok bool) {
	c := cursor(line)
	if !c.take('{') {
		return m, false
	}
	for first := true; ; first = false {
		if c.take('}') {
			return m, len(c) == 0 && m.Type != ""
		}
		if !first && !c.take(',') {
			return m, false
		}
		name, ok := c.text()
		if !ok || !c.take(':') {
			return m, false
		}
		if string(name) == "data" {
			data, ok := c.value()
			if !ok {
				return m, false
			}
			m.Data = bytes.Clone(data)
			continue
		}
		field := m.field(name)
		value, ok := c.text()
		if field == nil || !ok {
			return m, false
		}
		*field = string(value)
	}
}

// field is a text of the envelope by its name in JSON; nil: there is none.
func (m *Message) field(name []byte) *string {
	switch string(name) {
	case "message_type":
		return &m.Type
	case "sender_id":
		return &m.Sender
	case "target_id":
		return &m.Target
	case "message_id":
		return &m.ID
	case "reply_to":
		return &m.ReplyTo
	case "timestamp":
		return &m.Timestamp
	}
	return nil
}

// cursor is what is left of a message.
type cursor []byte

func (c *cursor) skipSpace() {
	for len(*c) > 0 && ((*c)[0] == ' ' || (*c)[0] == '\t' || (*c)[0] == '\r' || (*c)[0] == '\n') {
		*c = (*c)[1:]
	}
}

// take takes one character, and the spaces around it.
func (c *cursor) take(b byte) bool {
	c.skipSpace()
	if len(*c) == 0 || (*c)[0] != b {
		return false
	}
	*c = (*c)[1:]
	c.skipSpace()
	return true
}

// text takes a text without escapes.
func (c *cursor) text() (text []byte, ok bool) {
	c.skipSpace()
	if len(*c) == 0 || (*c)[0] != '"' {
		return nil, false
	}
	for i, b := range (*c)[1:] {
		switch {
		case b == '"':
			text, *c = (*c)[1:i+1], (*c)[i+2:]
			return text, true
		case b == '\\' || b < ' ':
			return nil, false
		}
	}
	return nil, false
}

// value takes an object or an array, up to the bracket that ends it.
func (c *cursor) value() (value []byte, ok bool) {
	c.skipSpace()
	if len(*c) == 0 || (*c)[0] != '{' && (*c)[0] != '[' {
		return nil, false
	}
	depth, quoted := 0, false
	for i := 0; i < len(*c); i++ {
		switch b := (*c)[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			if depth--; depth == 0 {
				value, *c = (*c)[:i+1], (*c)[i+1:]
				return value, true
			}
		}
	}
	return nil, false
}
