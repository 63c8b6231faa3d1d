package task

import (
	"fmt"
	"strings"
)

// ID names a task. It is a number that grows with every submission; what people and messages see is its text,
// "t" and eight characters in which consecutive numbers look nothing alike, so that a few characters are
// enough to tell tasks apart (as with commits in git).
type ID uint64

// JobID names the tasks that were submitted together: the number of the first of them, with the letter "j".
type JobID uint64

// MaxID is the largest number an ID can have.
const MaxID = 1<<idBits - 1

const (
	idBits   = 40
	idLength = 8 // characters, five bits each
	// The text is the number times an odd constant modulo 2^40 (2^40 divided by the golden ratio, which
	// spreads neighbours farthest apart), and back by the constant's inverse.
	spread   = 0x9E3779B97F
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32: no i, l, o, u
)

// gather is the inverse of spread modulo 2^40, by Newton's iteration (each round doubles the bits that are right).
var gather = func() uint64 {
	x := uint64(spread)
	for range 6 {
		x *= 2 - spread*x
	}
	return x & MaxID
}()

func (id ID) String() string                  { return idText('t', uint64(id)) }
func (id JobID) String() string               { return idText('j', uint64(id)) }
func (id ID) IsZero() bool                    { return id == 0 }
func (id JobID) IsZero() bool                 { return id == 0 }
func (id ID) AsJob() JobID                    { return JobID(id) }
func (id JobID) First() ID                    { return ID(id) }
func (id ID) MarshalText() ([]byte, error)    { return []byte(id.String()), nil }
func (id JobID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (id *JobID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseJobID(string(b))
	return err
}

// ParseID reads the whole text of a task's id. The error is ErrBadID.
func ParseID(s string) (ID, error) {
	n, err := parseID('t', s)
	return ID(n), err
}

// ParseJobID reads the whole text of a job's id. The error is ErrBadID.
func ParseJobID(s string) (JobID, error) {
	n, err := parseID('j', s)
	return JobID(n), err
}

// Prefix is the beginning of a task's id, as people type it.
type Prefix struct{ lo, hi uint64 }

// ParsePrefix reads "t" and at least three characters. The error is ErrBadID.
func ParsePrefix(s string) (Prefix, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "t")
	if !ok || len(digits) < 3 || len(digits) > idLength {
		return Prefix{}, badID(s)
	}
	v, ok := idValue(digits)
	if !ok {
		return Prefix{}, badID(s)
	}
	shift := 5 * (idLength - len(digits))
	return Prefix{lo: v << shift, hi: (v+1)<<shift - 1}, nil
}

// Matches says whether the text of id begins with the prefix.
func (p Prefix) Matches(id ID) bool {
	v := uint64(id) * spread & MaxID
	return p.lo <= v && v <= p.hi
}

func idText(letter byte, n uint64) string {
	var b [1 + idLength]byte
	b[0] = letter
	v := n * spread & MaxID
	for i := idLength; i > 0; i-- {
		b[i] = idDigits[v&31]
		v >>= 5
	}
	return string(b[:])
}

func parseID(letter byte, s string) (uint64, error) {
	if len(s) != 1+idLength || s[0]|0x20 != letter {
		return 0, badID(s)
	}
	v, ok := idValue(strings.ToLower(s[1:]))
	if !ok {
		return 0, badID(s)
	}
	return v * gather & MaxID, nil
}

func idValue(digits string) (v uint64, ok bool) {
	for i := range len(digits) {
		d := strings.IndexByte(idDigits, digits[i])
		if d < 0 {
			return 0, false
		}
		v = v<<5 | uint64(d)
	}
	return v, true
}

func badID(s string) error {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Errorf("%q: %w", s, ErrBadID)
}
