// Command rc-workerd lets this device work for a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/executor"
	"github.com/retire-cluster/retire-cluster/lib/reload"
	"github.com/retire-cluster/retire-cluster/lib/wire"
	"github.com/retire-cluster/retire-cluster/lib/worker"
)

func main() {
	executor.Main() // does not return in a slot helper, which is this program too
	cli.Calm()
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1) // the other processors are for the tasks
	}
	cli.Main("rc-workerd", "Let this device work for a cluster.", new(workerd))
}

// workerd is the flags, the environment and the configuration file of rc-workerd.
type workerd struct {
	cli.Config
	cli.Logging

	Join     string   `placeholder:"CODE" help:"Join a cluster with a code that rc-ctl invite printed. Needed once; not at all on the main node's host."`
	Name     string   `placeholder:"NAME" help:"Name to join under. Default: the host's."`
	Slots    int      `short:"s" placeholder:"N" help:"Tasks to run at once. Default: the number of cores."`
	Role     string   `placeholder:"ROLE" help:"Role that tasks can ask for. Default: by the kind of device."`
	Tag      []string `placeholder:"TAG" help:"Tag that tasks can ask for; may be repeated."`
	Data     string   `env:"RC_WORKER_DATA" placeholder:"DIR" help:"Where this worker keeps its key and its results. Default: /var/lib/retire-cluster-worker for a service, else ~/.local/state/retire-cluster-worker."`
	MainData string   `env:"RC_DATA" placeholder:"DIR" help:"Data directory of a main node on this host."`

	OutputLimit     cli.Bytes    `default:"8MiB" help:"Keep at most this much of what one task prints."`
	KillGrace       cli.Duration `default:"10s" help:"Time that a task has to end by itself before it is killed."`
	AllowPrivateNet bool         `help:"Let http_request tasks reach private addresses."`
}

// Run works until the first signal, then finishes what runs; a second signal kills that.
func (w *workerd) Run(ctx context.Context, env cli.Env, log *cli.Log, reparse cli.Reparse) error {
	kill := cli.Daemon(ctx)
	if w.Slots < 0 || w.Slots > wire.MaxSlots {
		return cli.Exit(cli.Usage, fmt.Errorf("--slots %d: between 1 and %d, or 0 for the number of cores", w.Slots, wire.MaxSlots))
	}
	node, err := worker.Open(ctx, w.options(env, log))
	switch {
	case errors.Is(err, worker.ErrNotJoined):
		return cli.Exit(cli.BadConfig, err)
	case errors.Is(err, worker.ErrInUse):
		return cli.Exit(cli.Unavailable, err)
	}
	if err != nil {
		return err
	}
	log.Info("ready to work", "device", node.DeviceID(), "data", w.dataDir(env))
	go w.reload(ctx, log, reparse)
	go func() {
		if err := reload.Watch(ctx, node.TypesDir(), reload.Debounce, node.TypesChanged); err != nil {
			log.Warn("new task types will not be noticed before the next start", "err", err)
		}
	}()
	context.AfterFunc(ctx, cli.Stopping)
	if err := node.Run(ctx, kill); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

func (w *workerd) options(env cli.Env, log *cli.Log) worker.Options {
	_, beat := cli.Watchdog()
	o := worker.Options{Dir: w.dataDir(env), JoinCode: w.Join, MainData: w.MainData, Name: w.Name, Slots: w.Slots, Role: w.Role, Tags: w.Tag,
		OutputLimit: int64(w.OutputLimit), KillGrace: time.Duration(w.KillGrace), AllowPrivateNet: w.AllowPrivateNet,
		Software: "rc-workerd " + cli.Version, Env: env, Log: log.Logger, Beat: beat, Ready: cli.Ready}
	if o.Slots == 0 {
		o.Slots = runtime.NumCPU()
	}
	return o
}

func (w *workerd) dataDir(env cli.Env) string {
	if w.Data != "" {
		return w.Data
	}
	if dir, ok := env("STATE_DIRECTORY"); ok && dir != "" {
		return dir
	}
	return filepath.Join(wire.StateHome(env), "retire-cluster-worker")
}

// reload takes the level of the log anew when the configuration file changes or on SIGHUP; all else needs a restart, and says so.
func (w *workerd) reload(ctx context.Context, log *cli.Log, reparse cli.Reparse) {
	err := reload.Run(ctx, w.Config.Path, cli.Hangups(ctx), func() {
		fresh := new(workerd)
		log.Again(reparse, w, fresh, func() error {
			log.SetLevel(fresh.LogLevel)
			return nil
		})
	})
	if err != nil {
		log.Warn("changes of the configuration file will not be noticed", "err", err)
	}
}
