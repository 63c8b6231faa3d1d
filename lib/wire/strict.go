package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Bounds of what stands in a message, so that what reading it costs is known before it is read.
const (
	MaxElements = 16_384 // of one array
	MaxFields   = 1_024  // of one object
	maxNumber   = 32     // characters
)

// maxInteger is 2^53: beyond it two readers of JSON may see two numbers.
const maxInteger = 1 << 53

// CheckJSON says whether b is one JSON value (RFC 8259) that every reader reads alike: UTF-8 throughout, no field twice, not even where
// only its case differs (encoding/json takes the last of them without a word), no half of a surrogate pair, numbers that fit into a float64,
// nothing deeper or longer than its bounds. Within a field "payload" fields may differ by case alone, and integers have 32 digits. The error is
// ErrJSON and says at which byte.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return Errorf(ErrJSON, "not UTF-8")
	}
	s := stricts.Get().(*strict)
	defer stricts.Put(s)
	*s = strict{b: b, keys: s.keys[:0]}
	s.value(0, true)
	s.space()
	if s.bad == "" && s.i < len(b) {
		s.fail("something stands behind the value")
	}
	if s.bad != "" {
		return Errorf(ErrJSON, "at byte %d: %s", s.i, s.bad)
	}
	return nil
}

// strict goes over a JSON value once.
type strict struct {
	b    []byte
	i    int
	bad  string // what is wrong at i; empty: nothing yet
	keys []key  // of the objects that are open, the innermost last
}

// stricts are shared by all connections, with the room for their keys.
var stricts = sync.Pool{New: func() any { return &strict{keys: make([]key, 0, 32)} }}

// key is the name of a field.
type key struct {
	name  []byte
	ascii bool
}

// fail notes what is wrong, the first time, and is false.
func (s *strict) fail(what string) bool {
	if s.bad == "" {
		s.bad = what
	}
	return false
}

func (s *strict) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\n' || s.b[s.i] == '\r') {
		s.i++
	}
}

// next is the next character that is no space; 0 at the end.
func (s *strict) next() byte {
	s.space()
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// value reads a value within so many others. own says that its fields are the protocol's own, and not those of a payload.
func (s *strict) value(depth int, own bool) bool {
	switch c := s.next(); {
	case c == '{':
		return s.object(depth+1, own)
	case c == '[':
		return s.array(depth+1, own)
	case c == '"':
		_, ok := s.text()
		return ok
	case c == '-' || c >= '0' && c <= '9':
		return s.number(own)
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == 0 && s.i == len(s.b):
		return s.fail("it ends too early")
	}
	return s.fail("no JSON value begins so")
}

func (s *strict) word(w string) bool {
	if !bytes.HasPrefix(s.b[s.i:], []byte(w)) {
		return s.fail("no JSON value begins so")
	}
	s.i += len(w)
	return true
}

func (s *strict) array(depth int, own bool) bool {
	if depth > MaxDepth {
		return s.fail("nested deeper than " + strconv.Itoa(MaxDepth))
	}
	s.i++
	if s.next() == ']' {
		s.i++
		return true
	}
	for n := 1; ; n++ {
		if n > MaxElements {
			return s.fail("an array of more than " + strconv.Itoa(MaxElements))
		}
		if !s.value(depth, own) {
			return false
		}
		if more, ok := s.more(']'); !more {
			return ok
		}
	}
}

func (s *strict) object(depth int, own bool) bool {
	if depth > MaxDepth {
		return s.fail("nested deeper than " + strconv.Itoa(MaxDepth))
	}
	s.i++
	if s.next() == '}' {
		s.i++
		return true
	}
	first := len(s.keys)
	defer func() { s.keys = s.keys[:first] }()
	var many map[string]bool
	for {
		k, ok := s.field(first, own, &many)
		if !ok || !s.value(depth, own && string(k) != "payload") {
			return false
		}
		if more, ok := s.more('}'); !more {
			return ok
		}
	}
}

// field reads the name of a field and the colon behind it, and refuses one that was there before.
func (s *strict) field(first int, own bool, many *map[string]bool) (name []byte, ok bool) {
	if s.next() != '"' {
		return nil, s.fail("a field's name belongs here")
	}
	at := s.i
	k, ok := s.text()
	if !ok {
		return nil, false
	}
	if len(s.keys)-first == MaxFields {
		return nil, s.fail("an object of more than " + strconv.Itoa(MaxFields) + " fields")
	}
	if s.twice(k, first, own, many) {
		s.i = at
		return nil, s.fail("a field that stands twice")
	}
	s.keys = append(s.keys, k)
	if s.next() != ':' {
		return nil, s.fail("a colon belongs here")
	}
	s.i++
	return k.name, true
}

// manyKeys is from how many fields on they are searched in a map.
const manyKeys = 24

func (s *strict) twice(k key, first int, own bool, many *map[string]bool) bool {
	known := s.keys[first:]
	if len(known) < manyKeys {
		for i := range known {
			if same(k, known[i], own) {
				return true
			}
		}
		return false
	}
	if *many == nil {
		*many = make(map[string]bool, 4*manyKeys)
		for i := range known {
			(*many)[folded(known[i].name, own)] = true
		}
	}
	f := folded(k.name, own)
	seen := (*many)[f]
	(*many)[f] = true
	return seen
}

func same(a, b key, fold bool) bool {
	if !fold {
		return bytes.Equal(a.name, b.name)
	}
	return (len(a.name) == len(b.name) || !a.ascii || !b.ascii) && bytes.EqualFold(a.name, b.name)
}

// folded writes what encoding/json takes for the same name in the same way.
func folded(name []byte, fold bool) string {
	if !fold {
		return string(name)
	}
	return strings.Map(func(r rune) rune {
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		return least
	}, string(name))
}

// more reads a comma, or the bracket that ends the list.
func (s *strict) more(end byte) (more, ok bool) {
	switch c := s.next(); {
	case c == ',':
		s.i++
		return true, true
	case c == end:
		s.i++
		return false, true
	case s.i == len(s.b):
		return false, s.fail("it ends too early")
	}
	return false, s.fail("a comma belongs here, or the end of the list")
}

// text reads a text; of one with escapes it gives what they stand for.
func (s *strict) text() (k key, ok bool) {
	begin, plain := s.i, true
	k.ascii = true
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			if k.name = s.b[begin+1 : s.i-1]; !plain {
				var text string
				if json.Unmarshal(s.b[begin:s.i], &text) != nil {
					return k, s.fail("no escape is written so")
				}
				k.name, k.ascii = []byte(text), false
			}
			return k, true
		case c == '\\':
			plain = false
			if !s.escape() {
				return k, false
			}
		case c < ' ':
			return k, s.fail("a control character in a text")
		case c >= utf8.RuneSelf:
			k.ascii = false
		}
	}
	return k, s.fail("it ends too early")
}

// escape reads an escape up to its last character.
func (s *strict) escape() bool {
	s.i++
	if s.i == len(s.b) {
		return s.fail("it ends too early")
	}
	if s.b[s.i] != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), s.b[s.i]) >= 0 || s.fail("no escape is written so")
	}
	r, ok := s.hex(s.i + 1)
	if !ok {
		return s.fail("no escape is written so")
	}
	s.i += 4
	switch {
	case r >= 0xdc00 && r <= 0xdfff:
		return s.fail("half of a surrogate pair")
	case r < 0xd800 || r > 0xdbff:
		return true
	}
	low, ok := s.hex(s.i + 3)
	if !ok || s.b[s.i+1] != '\\' || s.b[s.i+2] != 'u' || low < 0xdc00 || low > 0xdfff {
		return s.fail("half of a surrogate pair")
	}
	s.i += 6
	return true
}

// hex reads four hexadecimal digits.
func (s *strict) hex(at int) (r uint64, ok bool) {
	if at+4 > len(s.b) {
		return 0, false
	}
	for _, c := range s.b[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | uint64(c)
	}
	return r, true
}

// number reads a number: what it may look like is in RFC 8259, section 6.
func (s *strict) number(own bool) bool {
	begin := s.i
	if s.b[s.i] == '-' {
		s.i++
	}
	whole := s.digits()
	if whole == 0 || whole > 1 && s.b[s.i-whole] == '0' {
		return s.fail("no number is written so")
	}
	integer := true
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if integer = false; s.digits() == 0 {
			return s.fail("no number is written so")
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if integer = false; s.digits() == 0 {
			return s.fail("no number is written so")
		}
	}
	return s.fits(string(s.b[begin:s.i]), integer, own)
}

func (s *strict) digits() (n int) {
	for ; s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9'; s.i++ {
		n++
	}
	return n
}

func (s *strict) fits(number string, integer, own bool) bool {
	switch {
	case len(number) <= 15: // digits, or an exponent that cannot be too large without being seen below
		if integer || !strings.ContainsAny(number, "eE") {
			return true
		}
	case len(number) > maxNumber:
		return s.fail("a number of more than " + strconv.Itoa(maxNumber) + " characters")
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || own && integer && (f > maxInteger || f < -maxInteger) {
		return s.fail("a number that is too large")
	}
	return true
}
