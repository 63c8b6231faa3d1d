package proof

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// spy looks for secrets where they do not belong (S16): in logs, among the arguments of processes, and in the database.
type spy struct {
	r       *rig
	tokens  []string // and join codes: nobody keeps them but who uses them
	secrets []string // all of them, also those that the database must have, in the payloads
	seen    map[string]bool
}

// newSpy makes a token of each role and a join code, so that there is something to be found.
func newSpy(r *rig) *spy {
	s := &spy{r: r, tokens: []string{secretPart(r.options.Token)}, seen: map[string]bool{}}
	c := r.client()
	defer c.Close()
	for _, role := range []wire.Role{wire.RoleRead, wire.RoleSubmit, wire.RoleAdmin} {
		made, err := c.MakeToken(within(r.t, ready), wire.MakeToken{Role: role, Name: "marked"})
		if err != nil {
			r.t.Fatal(err)
		}
		s.tokens = append(s.tokens, secretPart(made.Token))
	}
	s.tokens = append(s.tokens, secretPart(r.invite([]string{"127.0.0.1:1"})))
	s.secrets = append(s.secrets, append(s.tokens, marker)...)
	return s
}

// secretPart is what nobody may see of a token or join code: its longest part that is not an address.
func secretPart(code string) (longest string) {
	parts := strings.Split(code, "_")
	if len(parts) == 6 { // rcj1_addresses_fingerprint_id_secret_check
		return parts[4]
	}
	for _, p := range parts {
		if len(p) > len(longest) {
			longest = p
		}
	}
	return longest
}

// look looks at the arguments of every process, now.
func (s *spy) look() {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		s.search(f, read(f), s.secrets)
	}
}

// find looks at everything that is left, and lists what was found at any time.
func (s *spy) find() (found []string) {
	s.look()
	files, _ := filepath.Glob(s.r.path("*.log"))
	for _, f := range files {
		s.search(f, read(f), s.secrets)
	}
	files, _ = filepath.Glob(s.r.path("main/cluster.db*"))
	for _, f := range files {
		s.search(f, read(f), s.tokens)
	}
	for what := range s.seen {
		found = append(found, what)
	}
	return found
}

func (s *spy) search(where string, text []byte, secrets []string) {
	for i, secret := range secrets {
		if bytes.Contains(text, []byte(secret)) {
			s.seen[fmt.Sprintf("secret %d stands in %s", i+1, strings.TrimPrefix(where, s.r.dir+string(os.PathSeparator)))] = true
		}
	}
}
