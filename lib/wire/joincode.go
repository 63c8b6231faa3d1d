package wire

import (
	"net"
	"strings"
)

// JoinCode is an invitation for one device, as one string.
type JoinCode struct {
	Addresses   []string // host:port of the main node
	Fingerprint string   // of the main node
	ID          string
	Secret      string
}

// NewJoinCode makes an invitation with a new id and secret.
func NewJoinCode(addresses []string, fingerprint string) JoinCode {
	return JoinCode{addresses, fingerprint, secretText(idChars), secretText(secretChars)}
}

const joinPrefix = "rcj1"

// String is the code itself: a secret until it is used.
func (j JoinCode) String() string {
	addresses := base32Text.EncodeToString([]byte(strings.Join(j.Addresses, ",")))
	s := strings.Join([]string{joinPrefix, addresses, j.Fingerprint, j.ID, j.Secret}, "_")
	return s + "_" + joinCheck(s)
}

// Hash is what the main node stores of the secret.
func (j JoinCode) Hash() []byte { return HashSecret(j.ID + "_" + j.Secret) }

// ParseJoinCode reads what String wrote. The error is ErrField and says which part is wrong; white space that copying
// brought in is overlooked.
func ParseJoinCode(s string) (JoinCode, error) {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	parts := strings.Split(s, "_")
	if len(parts) != 6 || parts[0] != joinPrefix {
		return JoinCode{}, badCode("this is not a join code (rcj1_…, as rc-ctl invite prints it)")
	}
	if joinCheck(s[:strings.LastIndexByte(s, '_')]) != parts[5] {
		return JoinCode{}, badCode("the join code has a typing error or is not complete; copy all of it")
	}
	j := JoinCode{Fingerprint: parts[2], ID: parts[3], Secret: parts[4]}
	if err := CheckFingerprint(j.Fingerprint); err != nil {
		return JoinCode{}, err
	}
	addresses, err := base32Text.DecodeString(parts[1])
	if err != nil || len(j.ID) != idChars || len(j.Secret) != secretChars {
		return JoinCode{}, badCode("the join code is damaged; make another with rc-ctl invite")
	}
	for a := range strings.SplitSeq(string(addresses), ",") {
		if err := CheckAddress(a); err != nil {
			return JoinCode{}, err
		}
		j.Addresses = append(j.Addresses, a)
	}
	return j, nil
}

func badCode(text string) error { return &Error{Code: "E_FIELD", Text: text} }

// CheckAddress says whether s is host:port.
func CheckAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" || port == "0" || strings.ContainsAny(s, ", \t\n") {
		return Errorf(ErrField, "address %.80q: host:port, such as 192.168.1.5:8080", s)
	}
	return nil
}

// joinCheck finds typing errors: two characters of the hash of all the others.
func joinCheck(s string) string { return base32Text.EncodeToString(HashSecret(s))[:2] }
