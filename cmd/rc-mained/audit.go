package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/text"
)

// audit is what can be done with the audit log where it is kept, also while the main node does not run.
type audit struct {
	Verify verifyAudit `cmd:"" help:"See whether no line of it was changed, removed or put in between."`
	Print  printAudit  `cmd:"" help:"Print it: one JSON object a line."`
}

type verifyAudit struct {
	File string `arg:"" optional:"" help:"Database or backup. Default: the database in the data directory."`
	Head string `env:"-" placeholder:"HASH" help:"Also see whether a hash that was noted earlier is among its own: the log could have been written anew as a whole."`
}

// Run follows the chain of hashes, and prints the last one.
func (x *verifyAudit) Run(ctx context.Context, m *mained, std cli.Std, env cli.Env) error {
	head, err := hex.DecodeString(strings.TrimSpace(x.Head))
	if err != nil {
		return cli.Exit(cli.Usage, fmt.Errorf("--head %.80q: a hash in hexadecimal, as this command prints it", x.Head))
	}
	v, err := m.readAudit(ctx, env, x.File, head, func(store.Audited) error { return nil })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "audit log: %s, %d to %d; unbroken; head %x\n", count(v.Lines, "line"), v.First, v.Last, v.Head)
	return err
}

type printAudit struct {
	File string `arg:"" optional:"" help:"Database or backup. Default: the database in the data directory."`
}

// Run prints every line with its hash, and ends with an error where the chain is broken.
func (x *printAudit) Run(ctx context.Context, m *mained, std cli.Std, env cli.Env) error {
	out := bufio.NewWriter(std.Out)
	_, terminal := std.Terminal()
	_, err := m.readAudit(ctx, env, x.File, nil, func(a store.Audited) error {
		line := strings.TrimSuffix(string(a.Line), "}")
		if terminal {
			line = text.SafeJSON(line) // the hash is that of the line as it is
		}
		_, err := fmt.Fprintf(out, "%s,\"hash\":\"%x\"}\n", line, a.Hash)
		return err
	})
	return errors.Join(err, out.Flush())
}

func (m *mained) readAudit(ctx context.Context, env cli.Env, path string, head []byte, each func(store.Audited) error) (store.VerifiedAudit, error) {
	if path == "" {
		path = mainnode.DatabaseFile(m.found(env))
	}
	v, err := store.VerifyAudit(ctx, path, head, each)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return v, notOurs("audit", err)
	case errors.Is(err, store.ErrAudit):
		return v, cli.Exit(cli.Failed, err)
	case err != nil:
		return v, cli.Exit(statusOfFile(err), err)
	}
	return v, nil
}
