package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
)

// Cluster is embedded by all commands: which main node to speak with, and as who.
type Cluster struct {
	Main      string `group:"Main node" env:"RC_MAIN" placeholder:"HOST:PORT" help:"Main node, or unix:FILE of its socket; without it the one of this host."`
	Pin       string `group:"Main node" env:"RC_PIN" placeholder:"FINGERPRINT" help:"Its fingerprint."`
	TokenFile string `group:"Main node" env:"RC_TOKEN_FILE" placeholder:"FILE" help:"File with the token to use there."`
	Data      string `group:"Main node" env:"RC_DATA" placeholder:"DIR" help:"Data directory of a main node of this host."`

	host Opener // of the process that this command runs in; nil: it has one of its own
}

// Opener makes a client that connects when it is first used. retrying may be nil.
type Opener func(software string, retrying func(error)) (*client.Client, error)

// Hosted is a command that may run inside of another process.
type Hosted interface {
	Host(Opener)
}

// Host makes the command one that runs inside of another process, for somebody who may use a cluster with the clients that open makes, and has no
// business with the files of that process's host.
func (c *Cluster) Host(open Opener) { c.host = open }

// SecretFiles are the files with a secret that the flags name.
func (c *Cluster) SecretFiles() []string {
	if c.host != nil || c.TokenFile == "" {
		return nil
	}
	return []string{c.TokenFile}
}

// fileOf refuses to touch a file that is not the user's.
func (c *Cluster) fileOf(path string) error {
	if c.host != nil {
		return cli.Exit(cli.NotPermitted, fmt.Errorf("%.80s: there are no files here", path))
	}
	return nil
}

// open makes a client that connects when it is first used. retrying may be nil.
func (c *Cluster) open(command string, env cli.Env, retrying func(error)) (*client.Client, error) {
	if c.host != nil {
		if c.Main+c.Pin+c.TokenFile+c.Data != "" {
			return nil, cli.Exit(cli.NotPermitted, errors.New("this is the cluster's own terminal: there is no other main node, and no token, to be named"))
		}
		return c.host(command+" "+cli.Version, retrying)
	}
	o := client.Options{Main: c.Main, Pin: c.Pin, Data: c.Data, Software: command + " " + cli.Version, Retrying: retrying}
	if c.TokenFile != "" {
		token, err := readBounded(c.TokenFile, 4<<10)
		if err != nil {
			return nil, cli.Exit(cli.BadConfig, fmt.Errorf("read token: %w", err))
		}
		o.Token = strings.TrimSpace(string(token))
		if o.Token == "" {
			return nil, cli.Exit(cli.BadConfig, fmt.Errorf("%s: no token is in it; rc-ctl token make makes one", c.TokenFile))
		}
	}
	o, err := client.Find(o, env)
	if err != nil {
		return nil, err
	}
	return client.New(o)
}

// patience is how long rc-submit waits for a main node that is away, as while it restarts.
const patience = time.Minute

// openPatiently is open for who waits while the main node of this host does not run.
func (c *Cluster) openPatiently(ctx context.Context, command string, env cli.Env, retrying func(error)) (*client.Client, error) {
	deadline := time.Now().Add(patience)
	for {
		opened, err := c.open(command, env, retrying)
		e, ok := errors.AsType[*client.NotFoundError](err)
		if !ok || !e.Stopped() || time.Now().After(deadline) {
			return opened, err
		}
		if retrying != nil {
			retrying(err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readBounded reads a file of which it is known how large it is at most.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, most)
}

func readAll(r io.Reader, name string, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: larger than %s", name, cli.Bytes(most))
	}
	return b, err
}

func usage(format string, args ...any) error {
	return cli.Exit(cli.Usage, fmt.Errorf(format, args...))
}

func badInput(format string, args ...any) error {
	return cli.Exit(cli.BadInput, fmt.Errorf(format, args...))
}
