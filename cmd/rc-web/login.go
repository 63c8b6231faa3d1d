package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// login makes an address for a browser.
type login struct {
	URL  string `name:"url" placeholder:"URL" help:"Address of rc-web as the browser has it. Default: that of the one that runs on this host."`
	Role string `env:"-" enum:",read,submit,admin" default:"" placeholder:"ROLE" help:"What the browser may do, no more than you: read, submit or admin. Default: the same as you."`
	QR   bool   `name:"qr" env:"-" help:"Print it as a QR code, for the camera of a phone."`
}

// standardURL is where rc-web is found that runs without flags.
const standardURL = "http://127.0.0.1:5000"

// Run makes a code at the main node and prints the address alone. The code stands behind #: browsers send that to nobody, so that no log has it.
func (l *login) Run(ctx context.Context, all *rcweb, std cli.Std, env cli.Env) error {
	at, fingerprint, err := l.address(all, std, env)
	if err != nil {
		return err
	}
	made, err := l.code(ctx, all, env)
	if err != nil {
		return err
	}
	if std.ErrTerminal() {
		fmt.Fprintf(std.Err, "open it in a browser: it is good for one login until %s\n", made.Expires.Local().Format(time.TimeOnly))
		if fingerprint != "" && strings.HasPrefix(at, "https:") {
			fmt.Fprintf(std.Err, "the browser does not know the certificate; it is this one if its SHA-256 fingerprint is\n%s\n", fingerprint)
		}
	}
	out := at + "/login#" + made.Code + "\n"
	if l.QR {
		if out, err = text.QR(strings.TrimSpace(out)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(std.Out, out)
	return err
}

// code asks the main node for a code.
func (l *login) code(ctx context.Context, all *rcweb, env cli.Env) (made wire.LoginMade, err error) {
	o, err := all.find(env)
	if err != nil {
		return made, err
	}
	c, err := client.Dial(ctx, o)
	if err != nil {
		return made, err
	}
	defer c.Close()
	return c.MakeLogin(ctx, wire.MakeLogin{Role: wire.Role(l.Role)})
}

// address is where the browser finds rc-web, and the fingerprint of what it is shown there if that is known.
func (l *login) address(all *rcweb, std cli.Std, env cli.Env) (at, fingerprint string, err error) {
	if l.URL != "" {
		at, err = checkURL(l.URL)
		if h, lost := findHome(all.WebData, env); err == nil && lost == nil && h.read(fileURL) == at {
			fingerprint = h.read(fileFingerprint)
		}
		return at, fingerprint, err
	}
	h, err := findHome(all.WebData, env)
	if err != nil {
		fmt.Fprintf(std.Err, "rc-web: %v; --url says where it is\n", err)
		return standardURL, "", nil
	}
	return h.read(fileURL), h.read(fileFingerprint), nil
}

// checkURL takes an address without a path, as rc-web has the whole of it.
func checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", cli.Exit(cli.Usage, fmt.Errorf("--url %.200q: an address such as https://nas.local:5000, without a path", s))
	}
	return u.Scheme + "://" + u.Host, nil
}
