package text

import (
	"fmt"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
)

// Token is what is shown of a client's token; the secret itself is not known.
type Token struct {
	ID      string     `json:"id"`
	Role    string     `json:"role"`
	Name    string     `json:"name,omitempty"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Kind    string     `json:"kind,omitempty"`
	Parent  string     `json:"parent,omitempty"`
	Used    *time.Time `json:"used,omitempty"`
	cluster.Grant
}

// grant says what a token may submit, in few words; of others than those for submitting nothing.
func (t *Token) grant() string {
	if t.Role != "submit" {
		return ""
	}
	words := []string{"no programs"}
	switch {
	case len(t.Types) > 0:
		words = []string{strings.Join(t.Types, ",")}
	case t.Exec:
		words = []string{"all types"}
	}
	if len(t.Tags) > 0 {
		words = append(words, "tags "+strings.Join(t.Tags, ","))
	}
	if t.Rate > 0 {
		words = append(words, fmt.Sprintf("%d/min", t.Rate))
	}
	return strings.Join(words, "; ")
}

// name is whose it is; of what speaks for another token, which.
func (t *Token) name() string {
	if t.Kind == "" {
		return t.Name
	}
	return strings.TrimSpace(t.Kind + " of " + t.Parent + " " + t.Name)
}

var tokens = &noun[Token]{
	name:   "tokens",
	fields: []string{"id", "role", "name", "created", "expires", "kind", "parent", "used", "exec", "task_types", "tags", "rate"},
	record: func(t *Token) []field {
		return []field{str(t.ID), str(t.Role), str(t.Name), moment(t.Created), moments(t.Expires), str(t.Kind), str(t.Parent), moments(t.Used),
			str(fmt.Sprint(t.Exec)), str(strings.Join(t.Types, ",")), str(strings.Join(t.Tags, ",")), integer(t.Rate)}
	},
	columns: []column{{title: "ID"}, {title: "ROLE"}, {title: "NAME", free: true}, {title: "MAY SUBMIT", spare: 2}, {title: "CREATED", spare: 1},
		{title: "EXPIRES"}},
	row: func(t *Token, s Style) []cell {
		expires := cell{"never", plain}
		if t.Expires != nil {
			expires = cell{t.Expires.UTC().Format(time.DateTime), plain}
			if !s.Now.IsZero() && !t.Expires.After(s.Now) {
				expires = cell{"expired", red}
			}
		}
		return []cell{{oneLine(t.ID), plain}, {oneLine(t.Role), plain}, freeText(t.name()), freeText(t.grant()), {s.ago(t.Created), plain}, expires}
	},
}

// Tokens prints a page of tokens.
func (p *Printer) Tokens(page []Token) error { return printPage(p, tokens, page) }
