// Command rc-workerd lets this device work for a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
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

	Data string `env:"RC_WORKER_DATA" placeholder:"DIR" help:"Where this worker keeps its key and its results. Default: /var/lib/retire-cluster-worker for a service, else ~/.local/state/retire-cluster-worker."`

	Discovery string `default:"224.0.0.251:5353" placeholder:"ADDR" help:"Where to look for the main node when it is not where it was; off nowhere."`

	Serve serve `cmd:"" default:"withargs" help:"Let this device work."`
	Join  join  `cmd:"" help:"Join a cluster with a code that rc-ctl invite printed, and do no more."`
	Check check `cmd:"" help:"Say what stands in the way on this device, and what cures it."`
}

// serve is the daemon.
type serve struct {
	cli.Logging

	Join     string   `placeholder:"CODE" help:"Join a cluster with a code that rc-ctl invite printed. Needed once; not at all on the main node's host."`
	Name     string   `placeholder:"NAME" help:"Name to join under. Default: the host's."`
	Slots    int      `short:"s" placeholder:"N" help:"Tasks to run at once. Default: the number of cores."`
	Role     string   `placeholder:"ROLE" help:"Role that tasks can ask for. Default: by the kind of device."`
	Tag      []string `placeholder:"TAG" help:"Tag that tasks can ask for; may be repeated."`
	Tool     []string `placeholder:"NAME" help:"Program to look for, and tell of, beside the usual ones; may be repeated."`
	MainData string   `env:"RC_DATA" placeholder:"DIR" help:"Data directory of a main node on this host."`

	Wake bool     `help:"Let the main node wake this device when it sleeps and is needed (Wake-on-LAN)."`
	MAC  []string `name:"mac" placeholder:"ADDRESS" help:"Hardware address to be woken by, where none is found; may be repeated."`

	OutputLimit     cli.Bytes    `default:"8MiB" help:"Keep at most this much of what one task prints."`
	KillGrace       cli.Duration `default:"10s" help:"Time that a task has to end by itself before it is killed."`
	CacheSize       cli.Bytes    `default:"1GiB" help:"Keep at most this much of the files that tasks were sent, for others."`
	Bandwidth       cli.Bytes    `default:"0" placeholder:"SIZE" help:"Let files take no more of the network, in a second; 0 any."`
	AllowPrivateNet bool         `help:"Let http_request tasks reach private addresses."`

	Type       []string `name:"allow-type" group:"What tasks may do" placeholder:"TYPE" help:"Type of task that may run here; may be repeated. Default: all."`
	AllowWrite []string `group:"What tasks may do" placeholder:"PATH" help:"File or directory that tasks may change beside their own; may be repeated."`
	TaskUser   string   `group:"What tasks may do" placeholder:"USER" help:"User that tasks run as where this runs as root; root as this does. Default: one that is nobody's."`

	TaskMemory    cli.Bytes    `group:"What one task may use" placeholder:"SIZE" default:"0" help:"End a task whose processes use more memory; 0 never."`
	TaskProcesses int          `group:"What one task may use" placeholder:"N" default:"0" help:"End a task that has more processes; 0 never."`
	TaskDisk      cli.Bytes    `group:"What one task may use" placeholder:"SIZE" default:"0" help:"End a task whose directory holds more; 0 never."`
	TaskFileSize  cli.Bytes    `group:"What one task may use" placeholder:"SIZE" default:"0" help:"Let no task write a larger file; 0 any."`
	TaskCPUTime   cli.Duration `group:"What one task may use" name:"task-cpu-time" placeholder:"TIME" default:"0s" help:"End a process that uses more; 0 never."`
	TaskCPUs      float64      `group:"What one task may use" name:"task-cpus" placeholder:"N" default:"0" help:"Processors that a task keeps busy at the most, as 0.5; 0 all."`
	Nice          int          `group:"What one task may use" placeholder:"N" default:"0" help:"How far tasks stand back behind all else, up to 19."`

	OnlyCharging   bool         `group:"As a guest of this device" help:"Work only while the battery is charged."`
	PauseBelow     float64      `group:"As a guest of this device" placeholder:"PERCENT" default:"30" help:"Stand still when the battery is below this, and nothing charges it; 0 never."`
	ResumeAbove    float64      `group:"As a guest of this device" placeholder:"PERCENT" default:"60" help:"Work again when it is above this, or charged."`
	MaxBatteryHeat float64      `group:"As a guest of this device" placeholder:"CELSIUS" default:"45" help:"Take no tasks when the battery is hotter, and stand still 5 degrees above; 0 never."`
	MaxHeat        float64      `group:"As a guest of this device" placeholder:"CELSIUS" default:"90" help:"The same for the hottest part of the device."`
	MaxOthersLoad  float64      `group:"As a guest of this device" placeholder:"LOAD" default:"0" help:"Take no tasks while what is not a task makes more load than this; 0 never."`
	QuietHours     worker.Hours `group:"As a guest of this device" placeholder:"FROM-TO" help:"Stand still in these hours, as in 22:00-07:00."`
	GiveBackAfter  cli.Duration `group:"As a guest of this device" placeholder:"TIME" default:"5m" help:"Let tasks that have stood still for so long run elsewhere; 0 never."`
}

// Run works until the first signal, then finishes what runs; a second signal kills that.
func (w *serve) Run(ctx context.Context, all *workerd, env cli.Env, log *cli.Log, reparse cli.Reparse) error {
	kill := cli.Daemon(ctx)
	if w.Slots < 0 || w.Slots > wire.MaxSlots {
		return cli.Exit(cli.Usage, fmt.Errorf("--slots %d: between 1 and %d, or 0 for the number of cores", w.Slots, wire.MaxSlots))
	}
	if w.TaskCPUTime > 0 && time.Duration(w.TaskCPUTime) < time.Second {
		return cli.Exit(cli.Usage, fmt.Errorf("--task-cpu-time %s: a second at the least", w.TaskCPUTime))
	}
	if w.TaskProcesses < 0 || w.TaskCPUs < 0 || w.Nice < 0 || w.Nice > 19 {
		return cli.Exit(cli.Usage, errors.New("what one task may use: --task-processes and --task-cpus are not negative, and --nice is between 0 and 19"))
	}
	for _, mac := range w.MAC {
		if a, err := net.ParseMAC(mac); err != nil || len(a) != 6 {
			return cli.Exit(cli.Usage, fmt.Errorf("--mac %q: not the address of a network card, such as 00:11:22:33:44:55", mac))
		}
	}
	options := w.options(all.dataDir(env), env, log)
	options.Discovery = all.discovery()
	var err error
	if options.TaskUser, options.TaskGroup, err = taskUser(w.TaskUser); err != nil {
		return cli.Exit(cli.Usage, err)
	}
	if err := options.Manners.Check(); err != nil {
		return cli.Exit(cli.Usage, fmt.Errorf("as a guest of this device: %w", err))
	}
	node, err := worker.Open(ctx, options)
	switch {
	case errors.Is(err, worker.ErrNotJoined):
		return cli.Exit(cli.BadConfig, err)
	case errors.Is(err, worker.ErrInUse):
		return cli.Exit(cli.Unavailable, err)
	}
	if err != nil {
		return err
	}
	log.Info("ready to work", "device", node.DeviceID(), "data", options.Dir)
	go all.reload(ctx, log, reparse)
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

func (w *serve) options(dir string, env cli.Env, log *cli.Log) worker.Options {
	_, beat := cli.Watchdog()
	o := worker.Options{Dir: dir, JoinCode: w.Join, MainData: w.MainData, Name: w.Name, Slots: w.Slots, Role: w.Role, Tags: w.Tag, Tools: w.Tool, Wake: w.Wake, MACs: w.MAC,
		OutputLimit: int64(w.OutputLimit), KillGrace: time.Duration(w.KillGrace), AllowPrivateNet: w.AllowPrivateNet,
		AllowWrite: w.AllowWrite, Types: w.Type, CacheSize: int64(w.CacheSize), Bandwidth: int64(w.Bandwidth),
		Limits: executor.Limits{Memory: int64(w.TaskMemory), Processes: w.TaskProcesses, Disk: int64(w.TaskDisk), FileSize: int64(w.TaskFileSize), CPUTime: time.Duration(w.TaskCPUTime),
			CPUs: w.TaskCPUs, Nice: w.Nice},
		Manners: worker.Manners{OnlyCharging: w.OnlyCharging, PauseBelow: w.PauseBelow, ResumeAbove: w.ResumeAbove, BatteryHeat: w.MaxBatteryHeat,
			Heat: w.MaxHeat, OthersLoad: w.MaxOthersLoad, Quiet: w.QuietHours, GiveBackAfter: time.Duration(w.GiveBackAfter)},
		Software: "rc-workerd " + cli.Version, Env: env, Log: log.Logger, Beat: beat, Ready: cli.Ready}
	o.Roots = roots(env)
	if o.Slots == 0 {
		o.Slots = runtime.NumCPU()
	}
	return o
}

// nobody is a user that no system gives away: https://systemd.io/UIDS-GIDS has it among those that are not used.
const nobody = 2_000_000_000

// taskUser are the numbers of the user that tasks run as, and of their group; 0: as this process does.
func taskUser(name string) (uid, gid int, err error) {
	switch {
	case name == "root" || os.Getuid() != 0: // who cannot choose
		return 0, 0, nil
	case name == "":
		return nobody, nobody, nil
	}
	u, err := user.Lookup(name)
	if n, e := strconv.ParseUint(name, 10, 31); e == nil {
		if u, err = user.LookupId(name); err != nil { // nobody is called so
			return int(n), int(n), nil
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("--task-user: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// discovery is where main nodes are looked for; empty: nowhere.
func (w *workerd) discovery() string {
	if w.Discovery == "off" {
		return ""
	}
	return w.Discovery
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
			log.SetLevel(fresh.Serve.LogLevel)
			return nil
		})
	})
	if err != nil {
		log.Warn("changes of the configuration file will not be noticed", "err", err)
	}
}
