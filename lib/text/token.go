package text

import (
	"time"
)

// Token is what is shown of a client's token; the secret itself is not known.
type Token struct {
	ID      string     `json:"id"`
	Role    string     `json:"role"`
	Name    string     `json:"name,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

var tokens = &noun[Token]{
	name:   "tokens",
	fields: []string{"id", "role", "name", "created", "expires"},
	record: func(t *Token) []field {
		return []field{str(t.ID), str(t.Role), str(t.Name), moment(t.Created), moments(t.Expires)}
	},
	columns: []column{{title: "ID"}, {title: "ROLE"}, {title: "NAME", free: true}, {title: "CREATED", spare: 1},
		{title: "EXPIRES"}},
	row: func(t *Token, s Style) []cell {
		expires := cell{"never", plain}
		if t.Expires != nil {
			expires = cell{t.Expires.UTC().Format(time.DateTime), plain}
			if !s.Now.IsZero() && !t.Expires.After(s.Now) {
				expires = cell{"expired", red}
			}
		}
		return []cell{{oneLine(t.ID), plain}, {oneLine(t.Role), plain}, freeText(t.Name), {s.ago(t.Created), plain}, expires}
	},
}

// Tokens prints a page of tokens.
func (p *Printer) Tokens(page []Token) error { return printPage(p, tokens, page) }
