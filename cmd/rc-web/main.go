// Command rc-web serves a cluster to browsers, scripts and Prometheus: pages, text, JSON, streams of events, metrics.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/command"
)

func main() {
	cli.Calm()
	cli.Main("rc-web", "Serve a cluster to browsers, scripts and Prometheus.", new(rcweb))
}

// rcweb is the flags, the environment and the configuration file of rc-web.
type rcweb struct {
	cli.Config
	command.Cluster

	WebData string `env:"RC_WEB_DATA" placeholder:"DIR" help:"Where rc-web keeps its certificate and says where it listens. Default: /var/lib/retire-cluster-web for a service, else ~/.local/state/retire-cluster-web."`

	Serve serve `cmd:"" default:"withargs" help:"Serve."`
	Login login `cmd:"" help:"Print an address with which a browser logs in."`
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
