package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/reload"
	"github.com/retire-cluster/retire-cluster/lib/web"
)

// serve is the daemon.
type serve struct {
	cli.Logging

	Listen   string `default:"127.0.0.1:5000" placeholder:"ADDR" help:"Address to listen on. Beyond loopback it speaks TLS, and wants a login."`
	AddrFile string `placeholder:"FILE" help:"Write the address to FILE once it is listened on."`

	Host         []string `group:"Beyond loopback" placeholder:"NAME" help:"A name by which browsers ask for it, beside the host's own; may be repeated."`
	PublicRead   bool     `group:"Beyond loopback" help:"Let everybody read who can connect, without a login."`
	TrustedProxy []string `group:"Beyond loopback" placeholder:"NET" help:"Believe what a proxy with this address, or in this network, says for whom it asks; may be repeated."`
	TLSCert      string   `group:"Beyond loopback" placeholder:"FILE" help:"Certificate to show, as PEM. Default: one that rc-web makes and renews."`
	TLSKey       string   `group:"Beyond loopback" placeholder:"FILE" help:"Its key."`
	InsecureHTTP bool     `group:"Beyond loopback" help:"Speak plain HTTP: whoever listens on the network can do what you may."`
}

// Run serves until the first signal. It does not need the main node to be there.
func (s *serve) Run(ctx context.Context, all *rcweb, env cli.Env, log *cli.Log, reparse cli.Reparse) error {
	cli.Daemon(ctx)
	o := web.Options{Find: func() (client.Options, error) { return all.find(env) }, Log: log.Logger, Hosts: s.Host, PublicRead: s.PublicRead}
	proxies, err := s.check()
	if err == nil {
		err = check(o.Find, log)
	}
	if err != nil {
		return cli.Exit(cli.BadConfig, err)
	}
	o.Proxies = proxies
	l, err := listen(ctx, s.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	home := openHome(all.WebData, env, log)
	if o.Certificate, err = s.certificate(l.Addr(), home, log); err != nil {
		return cli.Exit(statusOf(err), err)
	}
	url := web.URL(l.Addr(), s.Host, o.Certificate != nil)
	defer home.announce(url, o.Certificate)()
	if s.AddrFile != "" {
		if err := cli.WriteFile(s.AddrFile, []byte(l.Addr().String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	s.say(l.Addr(), url, o.Certificate, log)
	go all.reload(ctx, log, reparse)
	cli.Ready()
	defer cli.Stopping()
	if err := web.New(o).Serve(ctx, l); err != nil {
		return cli.Exit(cli.TryAgain, err)
	}
	log.Info("stopped")
	return nil
}

// check finds flags that cannot be meant.
func (s *serve) check() (proxies []netip.Prefix, err error) {
	for _, name := range s.Host {
		if err := web.CheckHost(name); err != nil {
			return nil, fmt.Errorf("--host: %w", err)
		}
	}
	for _, text := range s.TrustedProxy {
		p, err := web.ParseProxy(text)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxy: %w", err)
		}
		proxies = append(proxies, p)
	}
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return nil, errors.New("--tls-cert and --tls-key need each other; without both rc-web makes a certificate by itself")
	case s.TLSCert != "" && s.InsecureHTTP:
		return nil, errors.New("--tls-cert and --insecure-http exclude each other")
	}
	return proxies, nil
}

// certificate is what to speak TLS with; nil: it is plain HTTP that is spoken.
func (s *serve) certificate(at net.Addr, h *home, log *cli.Log) (*web.Certificate, error) {
	switch {
	case s.TLSCert != "":
		return web.FileCertificate(s.TLSCert, s.TLSKey, log.Logger)
	case web.IsLoopback(at) || s.InsecureHTTP:
		return nil, nil
	case h.err != nil:
		return nil, fmt.Errorf("a certificate has to be kept: %w; --web-data names another directory, --tls-cert and --tls-key a certificate that is there", h.err)
	}
	return web.OwnCertificate(h.dir, at, s.Host, log.Logger)
}

// statusOf is the exit status for what can be wrong with a certificate. A full disk may pass, and a service is to be started again then.
func statusOf(err error) int {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return cli.TryAgain
	}
	return cli.BadConfig
}

// say says where it listens, and what is risky about that.
func (s *serve) say(at net.Addr, url string, c *web.Certificate, log *cli.Log) {
	if c != nil {
		log.Info("listening", "address", url+"/", "sha256", c.Fingerprint())
	} else {
		log.Info("listening", "address", url+"/")
	}
	if web.IsLoopback(at) {
		return
	}
	if c == nil {
		log.Warn("plain HTTP beyond this host: whoever listens on the network can log in as others and do what they may; without --insecure-http it is TLS")
	}
	if s.PublicRead {
		log.Warn("whoever can connect may read everything, without a login; without --public-read nobody may")
	}
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
	return err
}

// inUseError is that another program has the address.
type inUseError struct{ error }

// Hint says who that mostly is.
func (inUseError) Hint() string {
	return "port 5000 belongs to AirPlay on macOS and to DSM on a Synology: --listen 127.0.0.1:5001 chooses another"
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	const windowsInUse = syscall.Errno(10048)
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, cli.Exit(cli.BadConfig, fmt.Errorf("listen on %q: host:port, such as 127.0.0.1:5000 or :5000 (%w)", address, err))
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", tcp.String())
	if err == nil {
		return l, nil
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
			log.SetLevel(fresh.Serve.LogLevel)
			return nil
		})
	})
	if err != nil {
		log.Warn("changes of the configuration file will not be noticed", "err", err)
	}
}
