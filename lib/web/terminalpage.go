package web

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/shell"
)

// terminalPage serves the first page, with the terminal. xterm.js makes elements and attributes of style, for which the policy is opened: the elements by a nonce.
func (s *Server) terminalPage(w http.ResponseWriter, r *http.Request) error {
	nonce := rand.Text()
	return s.showView(w, r, "home", "/", func(v *viewer) error {
		if err := s.home(v, nonce); err != nil {
			return err
		}
		w.Header().Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'",
			"style-src 'self'; style-src-elem 'self' 'nonce-"+nonce+"'; style-src-attr 'unsafe-inline'", 1))
		return nil
	})
}

// completed is with what a line may go on.
type completed struct {
	From  int      `json:"from"`
	Words []string `json:"words"`
}

// complete says with what a line may go on.
func (s *Server) complete(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	line := q.one("line")
	if err := q.check(); err != nil {
		return nil, err
	}
	if len(line) > maxCompleted {
		return nil, invalid("line: at most %d bytes", maxCompleted)
	}
	sh := &shell.Shell{Open: s.opener(r)}
	from, words := sh.Complete(ctx, line)
	return &completed{from, append([]string{}, words...)}, nil
}

const maxCompleted = 4 << 10 // bytes of a line
