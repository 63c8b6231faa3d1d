package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
)

// Role is what a connection may do.
type Role string

// The roles. A worker is known by its key; the others by tokens.
const (
	RoleWorker Role = "worker"
	RoleFiles  Role = "files" // a worker's, on a connection for files
	RoleRead   Role = "read"
	RoleSubmit Role = "submit"
	RoleAdmin  Role = "admin"

	RoleLogin   Role = "login"   // of a code that becomes a session, once
	RoleBrowser Role = "browser" // in a session's token; what it may do is the role that the main node knows it by
)

var clientRoles = []Role{RoleRead, RoleSubmit, RoleAdmin} // each may what those before it may

// May says whether a client of this role may do what needs the other.
func (r Role) May(need Role) bool {
	have := slices.Index(clientRoles, r)
	return have >= 0 && have >= slices.Index(clientRoles, need)
}

// ParseClientRole reads read, submit or admin.
func ParseClientRole(s string) (Role, error) {
	if !slices.Contains(clientRoles, Role(s)) {
		return "", Errorf(ErrField, "role %.20q: one of read, submit, admin", s)
	}
	return Role(s), nil
}

// kinds are what the first characters of a token can say.
var kinds = []Role{RoleRead, RoleSubmit, RoleAdmin, RoleLogin, RoleBrowser}

// Token is a client's secret: rcr1_, rcs1_ or rca1_ (read, submit, admin), rcl1_ for a code to log in with and rcb1_ for a browser's session; an
// id that may be shown; and the secret.
type Token struct {
	Role   Role
	ID     string
	Secret string
}

const idChars, secretChars = 10, 26 // of base 32: 50 and 130 bits

// NewToken makes a token of a client's role.
func NewToken(r Role) Token { return Token{r, secretText(idChars), secretText(secretChars)} }

// String is the token itself: a secret.
func (t Token) String() string { return fmt.Sprintf("rc%c1_%s_%s", t.Role[0], t.ID, t.Secret) }

// Hash is what is stored of the token.
func (t Token) Hash() []byte { return HashSecret(t.String()) }

// HashSecret is what is stored of a secret of 130 random bits: nothing slower is needed for those.
func HashSecret(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// SameHash compares in constant time.
func SameHash(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// ParseToken reads what String wrote. The error is ErrAuth, and never shows the token.
func ParseToken(s string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(s), "_")
	if len(parts) != 3 || len(parts[1]) != idChars || len(parts[2]) != secretChars {
		return Token{}, Errorf(ErrAuth, "this is not a token (rca1_…, rcs1_… or rcr1_…)")
	}
	for _, r := range kinds {
		if parts[0] == fmt.Sprintf("rc%c1", r[0]) {
			return Token{r, parts[1], parts[2]}, nil
		}
	}
	return Token{}, Errorf(ErrAuth, "this is not a token (rca1_…, rcs1_… or rcr1_…)")
}
