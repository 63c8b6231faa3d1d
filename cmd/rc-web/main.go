// Command rc-web serves a cluster to browsers, scripts and Prometheus: pages, text, JSON, streams of events, metrics.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/command"
	"github.com/retire-cluster/retire-cluster/lib/reload"
	"github.com/retire-cluster/retire-cluster/lib/web"
)

func main() {
	cli.Calm()
	cli.Main("rc-web", "Serve a cluster to browsers, scripts and Prometheus.", new(rcweb))
}

// rcweb is the flags, the environment and the configuration file of rc-web.
type rcweb struct {
	cli.Config
	cli.Logging
	command.Cluster

	Listen   string `default:"127.0.0.1:5000" placeholder:"ADDR" help:"Address to listen on: a loopback address."`
	AddrFile string `placeholder:"FILE" help:"Write the address to FILE once it is listened on."`
}

// Run serves until the first signal. It does not need the main node to be there.
func (w *rcweb) Run(ctx context.Context, env cli.Env, log *cli.Log, reparse cli.Reparse) error {
	cli.Daemon(ctx)
	find := func() (client.Options, error) { return w.find(env) }
	if err := check(find, log); err != nil {
		return err
	}
	l, err := listen(ctx, w.Listen)
	if err != nil {
		return err
	}
	if w.AddrFile != "" {
		if err := cli.WriteFile(w.AddrFile, []byte(l.Addr().String()+"\n"), 0o644); err != nil {
			l.Close()
			return err
		}
	}
	log.Info("listening", "address", "http://"+l.Addr().String()+"/")
	go w.reload(ctx, log, reparse)
	cli.Ready()
	defer cli.Stopping()
	if err := web.New(web.Options{Find: find, Log: log.Logger}).Serve(ctx, l); err != nil {
		return cli.Exit(cli.TryAgain, err)
	}
	log.Info("stopped")
	return nil
}

// find reads the token's file each time: it may have been replaced.
func (w *rcweb) find(env cli.Env) (client.Options, error) {
	o := client.Options{Main: w.Main, Pin: w.Pin, Data: w.Data, Software: "rc-web " + cli.Version}
	if w.TokenFile != "" {
		token, err := os.ReadFile(w.TokenFile)
		if err != nil {
			return o, cli.Exit(cli.BadConfig, fmt.Errorf("read token: %w", err))
		}
		if o.Token = strings.TrimSpace(string(token)); o.Token == "" {
			return o, cli.Exit(cli.BadConfig, fmt.Errorf("%s: no token is in it; rc-ctl token make makes one", w.TokenFile))
		}
	}
	return client.Find(o, env)
}

// check finds settings that cannot work.
func check(find func() (client.Options, error), log *cli.Log) error {
	o, err := find()
	if _, away := errors.AsType[*client.NotFoundError](err); away {
		log.Warn("the main node cannot be used yet", "err", err)
		return nil
	}
	if err == nil {
		_, err = client.New(o)
	}
	if err != nil {
		return cli.Exit(cli.BadConfig, err)
	}
	return nil
}

// inUseError is that another program has the address.
type inUseError struct{ error }

// Hint says who that mostly is.
func (inUseError) Hint() string {
	return "port 5000 belongs to AirPlay on macOS and to DSM on a Synology: --listen 127.0.0.1:5001 chooses another"
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	const windowsInUse = syscall.Errno(10048)
	l, err := web.Listen(ctx, address)
	if err == nil {
		return l, nil
	}
	if _, open := errors.AsType[*web.NotLoopbackError](err); open {
		return nil, cli.Exit(cli.BadConfig, err)
	}
	if errors.Is(err, syscall.EADDRINUSE) || os.PathSeparator == '\\' && errors.Is(err, windowsInUse) {
		err = inUseError{fmt.Errorf("listen on %s: the address is in use", address)}
	}
	return nil, cli.Exit(cli.Unavailable, err)
}

// reload takes the settings anew when the configuration file changes or on SIGHUP.
func (w *rcweb) reload(ctx context.Context, log *cli.Log, reparse cli.Reparse) {
	err := reload.Run(ctx, w.Config.Path, cli.Hangups(ctx), func() {
		fresh := new(rcweb)
		log.Again(reparse, w, fresh, func() error {
			log.SetLevel(fresh.LogLevel)
			return nil
		})
	})
	if err != nil {
		log.Warn("changes of the configuration file will not be noticed", "err", err)
	}
}
