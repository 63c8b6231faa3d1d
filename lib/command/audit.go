package command

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// printAudit prints the audit log: each line as it was written, with its hash as the last field.
func (l *Logs) printAudit(ctx context.Context, std cli.Std, c *client.Client) error {
	f := wire.FollowAudit{Follow: l.Follow}
	if l.Last != nil {
		if f.Last = *l.Last; f.Last == 0 {
			return usage("--audit --lines 0: at least one line")
		}
	}
	out := bufio.NewWriter(std.Out)
	_, terminal := std.Terminal()
	defer out.Flush()
	for a, err := range c.Audit(ctx, f) {
		if err != nil {
			return err
		}
		line := auditLine(a.Line, a.Hash)
		if terminal {
			line = text.SafeJSON(line) // the hash is that of the line as it is
		}
		fmt.Fprintln(out, line)
		if l.Follow {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// auditLine adds to a line of the audit log its hash.
func auditLine(line, hash string) string {
	return strings.TrimSuffix(line, "}") + `,"hash":"` + hash + `"}`
}
