// Package profile owns the facts and the metrics of this machine: what it is (Read, once at start) and how it is
// (Monitor, at every heartbeat). It is for the rc- commands; its API may change in any release. Begin with Read.
//
// Every fact is optional: a file that is missing or denied means "not known", never an error. On Linux and
// Android facts are read from /proc and /sys, one file of this package for each, and reading is apart from
// parsing; on Windows and macOS a fact is mostly one call, so those stand together in the files elsewhere.
package profile

import (
	"context"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// Options says where to look, and what the machine's owner says of it.
type Options struct {
	Roots   Roots
	WorkDir string   // whose file system is measured; empty: the current directory. It need not exist yet
	Name    string   // shown as the host's name where the system has none ("localhost")
	Role    string   // wins over the role found
	Tags    []string // given on as they are
	Tools   []string // programs to look for, beside DefaultTools
}

// Read finds out what this machine is. It may run a few short programs (python3 --version, getprop), so it is
// for the start of a program. It leaves TaskTypes, Slots and Version to the caller.
func Read(ctx context.Context, o Options) device.Profile {
	m := newMachine(o.Roots)
	p := device.Profile{
		Info:     m.info(ctx, o),
		Hardware: m.hardware(ctx, o.WorkDir),
		Tags:     o.Tags,
		Tools:    m.tools(o.Tools),
	}
	_, free, _ := usage(ctx, o.WorkDir)
	p.Capabilities = capabilities(p, free)
	return p
}

func (m *machine) info(ctx context.Context, o Options) device.Info {
	i := device.Info{
		Hostname:     m.hostname(),
		Platform:     m.platform(),
		Architecture: m.architecture(),
		Role:         o.Role,
		OS:           m.osName(ctx),
		Kernel:       m.kernel(ctx),
		Model:        m.model(ctx),
		Python:       m.python(ctx),
		Virtual:      m.virtual(),
	}
	if i.Role == "" {
		i.Role = m.role(ctx)
	}
	if nameless(i.Hostname) {
		i.Hostname = o.Name
	}
	if i.Hostname == "" {
		i.Hostname = DefaultName(ctx, o)
	}
	return i
}

func (m *machine) hardware(ctx context.Context, workDir string) device.Hardware {
	h := device.Hardware{
		CPUCores:   m.cores(),
		CPUModel:   m.cpuModel(ctx),
		CPUMHz:     m.coreSpeeds(),
		DiskKind:   m.diskKind(workDir),
		Network:    m.network(),
		Interfaces: m.interfaces(),
		GPU:        m.gpu(),
		MACs:       m.addresses(),
	}
	h.Memory, _ = m.memory(ctx)
	h.Disk, _, _ = usage(ctx, workDir)
	if h.Interfaces == nil {
		h.Interfaces = []string{} // on the wire a list, not null
	}
	return h
}
