// Command rc-mained is the main node of a cluster: it keeps the queue and the registry of devices, and gives tasks to them.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/mainnode"
	"github.com/retire-cluster/retire-cluster/lib/reload"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func main() {
	cli.Calm()
	cli.Main("rc-mained", "Run the main node of a cluster, look after its database.", new(mained))
}

// mained is the flags, the environment and the configuration file of rc-mained.
type mained struct {
	cli.Config

	Data      string `env:"RC_DATA" placeholder:"DIR" help:"Where everything is kept. Default: /var/lib/retire-cluster for a service, else ~/.local/state/retire-cluster."`
	BackupDir string `placeholder:"DIR" help:"Where the regular backups are. Default: backup in the data directory."`

	Serve   serve   `cmd:"" default:"withargs" help:"Run the main node."`
	Backup  backup  `cmd:"" help:"Copy the database into a file, also while the main node runs."`
	Restore restore `cmd:"" help:"Put a backup in the place of the database."`
	Check   check   `cmd:"" help:"Say whether the database, or a backup, is sound."`
	Audit   audit   `cmd:"" help:"Print the audit log, or see whether it is as it was written."`
}

// serve is the daemon.
type serve struct {
	cli.Logging

	Listen   string `default:":8080" placeholder:"ADDR" help:"Address to listen on."`
	AddrFile string `placeholder:"FILE" help:"Write the address to FILE once it is listened on."`
	Name     string `placeholder:"NAME" help:"Name of the main node. Default: the host's."`
	Socket   string `placeholder:"FILE" help:"Let users of this host in by a socket as well, as administrators: those whom its permissions let. Default: main.sock where systemd has made a directory for it."`
	Approve  bool   `help:"Let a device that has joined in only after rc-ctl approve."`

	PlainFrom []network `placeholder:"CIDR" help:"Answer clients of the first Retire-Cluster, without TLS and with no key, from this network; may be repeated."`

	Heartbeat    cli.Duration `default:"60s" help:"Time between heartbeats of a device."`
	OfflineAfter cli.Duration `default:"300s" help:"Show a device as offline after this long a silence; after half as long again its tasks go to others."`
	Ageing       cli.Duration `default:"12h" help:"Waiting this long is worth one level of priority."`
	QueueLimit   int          `default:"10000000" reload:"yes" help:"Most tasks that may be open: waiting or running."`

	Discovery   string   `default:"224.0.0.251:5353" placeholder:"ADDR" help:"Where devices that look for a main node are answered; off nowhere."`
	WakeAddress []string `placeholder:"HOST:PORT" help:"Send magic packets there. Default: to all networks of this host."`

	KeepTasksFor cli.Duration `default:"30d" reload:"yes" help:"Forget tasks this long after they ended (0: never)."`
	KeepTasks    int64        `default:"1000000" reload:"yes" help:"Keep at most this many ended tasks (0: all)."`
	FilesLimit   cli.Bytes    `default:"20GiB" reload:"yes" help:"Keep at most this much of files that go with tasks (0: any)."`
	KeepOutput   cli.Bytes    `default:"2GiB" reload:"yes" help:"Keep at most this much output of ended tasks (0: all)."`
	KeepEvents   int64        `default:"1000000" reload:"yes" help:"Keep at most this many events (0: all)."`
	KeepAudit    int64        `default:"1000000" reload:"yes" help:"Keep at most this many lines of the audit log (0: all)."`

	BackupEvery   cli.Duration `default:"1h" help:"Time between backups (0: none)."`
	BackupKeep    int          `default:"24" help:"Keep this many backups, and of older ones those of 7 days and 4 weeks."`
	AnyFilesystem bool         `help:"Keep the data on any file system, also where SQLite is not safe."`
}

// settings are what the main node's heart is told.
func (m *serve) settings(backupDir string) (mainnode.Settings, error) {
	s := mainnode.Defaults()
	s.Name = m.Name
	s.Heartbeat, s.OfflineAfter, s.Ageing = time.Duration(m.Heartbeat), time.Duration(m.OfflineAfter), time.Duration(m.Ageing)
	s.QueueLimit = m.QueueLimit
	if m.Discovery != "off" {
		s.Discovery = m.Discovery
	}
	s.FilesLimit, s.WakeTo = int64(m.FilesLimit), m.WakeAddress
	s.Keep.TasksFor, s.Keep.Tasks, s.Keep.OutputBytes, s.Keep.Events = time.Duration(m.KeepTasksFor), m.KeepTasks, int64(m.KeepOutput), m.KeepEvents
	s.Keep.Audit, s.Approve, s.PlainFrom = m.KeepAudit, m.Approve, m.plainFrom()
	s.Backup = mainnode.Backup{Every: time.Duration(m.BackupEvery), Dir: backupDir, Keep: m.BackupKeep}
	if s.Name == "" {
		s.Name, _ = os.Hostname()
	}
	return s, s.Validate()
}

// Run runs until the first signal.
func (m *serve) Run(ctx context.Context, all *mained, env cli.Env, log *cli.Log, reparse cli.Reparse) error {
	cli.Daemon(ctx)
	set, err := m.settings(all.BackupDir)
	if err != nil {
		return cli.Exit(cli.BadConfig, err)
	}
	dir := all.dataDir(env)
	warning, err := store.CheckPlace(dir, m.AnyFilesystem)
	if err != nil {
		return cli.Exit(cli.BadConfig, err)
	}
	if warning != "" {
		log.Warn(warning)
	}
	_, beat := cli.Watchdog()
	l, err := listen(ctx, m.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	listeners := []net.Listener{l}
	if path := m.socket(env); path != "" {
		local, err := listenLocally(ctx, path)
		if err != nil {
			return err
		}
		defer local.Close()
		listeners = append(listeners, local)
	}
	node, err := mainnode.Open(context.WithoutCancel(ctx), dir, "rc-mained "+cli.Version, set, log.Logger, beat)
	if err != nil {
		return all.advise(ctx, env, err)
	}
	defer node.Close()
	if err := node.Announce(l); err != nil {
		return cli.Exit(statusOf(err), err)
	}
	if m.AddrFile != "" {
		if err := cli.WriteFile(m.AddrFile, []byte(l.Addr().String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	log.Info("listening", "address", l.Addr().String(), "data", dir, "fingerprint", node.Fingerprint())
	go all.reload(ctx, node, log, reparse)
	cli.Ready()
	context.AfterFunc(ctx, cli.Stopping)
	if err := node.Serve(ctx, listeners...); err != nil {
		if errors.Is(err, store.ErrDamaged) {
			return all.advise(ctx, env, err)
		}
		return cli.Exit(cli.TryAgain, err)
	}
	log.Info("stopped")
	return nil
}

// socket is where users of this host are let in; empty: nowhere.
func (m *serve) socket(env cli.Env) string {
	if dir, ok := env("RUNTIME_DIRECTORY"); m.Socket == "" && ok && dir != "" {
		return filepath.Join(dir, wire.FileSocket)
	}
	return m.Socket
}

// listenLocally listens on a socket of this host, which the user and the group of this process may reach. What a former process has left there is replaced.
func listenLocally(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		return nil, cli.Exit(cli.BadConfig, fmt.Errorf("listen on the socket %s: %w", path, err))
	}
	return l, nil
}

func (m *mained) dataDir(env cli.Env) string {
	if m.Data != "" {
		return m.Data
	}
	return wire.DataDir(env)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("listen on %s: the address is in use; is another rc-mained running? --listen chooses another", address)
	}
	var wrong *net.AddrError
	switch {
	case err == nil:
		return l, nil
	case errors.As(err, &wrong) || errors.As(err, new(*net.DNSError)):
		return nil, cli.Exit(cli.BadConfig, fmt.Errorf("listen on %q: host:port, such as :8080 or 127.0.0.1:8080 (%w)", address, err))
	}
	return nil, cli.Exit(cli.Unavailable, err)
}

// statusOf is the exit status for what can be wrong with a data directory.
func statusOf(err error) int {
	switch {
	case errors.Is(err, store.ErrInUse):
		return cli.Unavailable
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return cli.TryAgain // it may pass, and a service is to be started again then
	case errors.Is(err, store.ErrForeign), errors.Is(err, store.ErrNewer), errors.Is(err, store.ErrDamaged),
		errors.Is(err, store.ErrMissing), errors.As(err, new(*os.PathError)):
		return cli.BadConfig
	}
	return cli.TryAgain
}

// reload takes the settings anew when the configuration file changes or on SIGHUP.
func (m *mained) reload(ctx context.Context, node *mainnode.Node, log *cli.Log, reparse cli.Reparse) {
	err := reload.Run(ctx, m.Config.Path, cli.Hangups(ctx), func() {
		fresh := new(mained)
		log.Again(reparse, m, fresh, func() error {
			set, err := fresh.Serve.settings(fresh.BackupDir)
			if err != nil {
				return err
			}
			log.SetLevel(fresh.Serve.LogLevel)
			return node.Change(ctx, set)
		})
	})
	if err != nil {
		log.Warn("changes of the configuration file will not be noticed", "err", err)
	}
}
