package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

const gib = 1 << 30

// WhyNot says why a task does not fit a device, in words for the person who waits; empty: it fits.
func WhyNot(taskType string, r *task.Requirements, name string, p *device.Profile) string {
	switch {
	case r.Device != "" && r.Device != name:
		return "is not " + r.Device
	case len(p.TaskTypes) == 0 || p.Slots < 1:
		return "takes no tasks"
	case !slices.Contains(p.TaskTypes, taskType):
		return "has no task type " + taskType
	case r.Platform != "" && r.Platform != p.Info.Platform:
		return fmt.Sprintf("platform is %s, not %s", p.Info.Platform, r.Platform)
	case r.Role != "" && r.Role != p.Info.Role:
		return fmt.Sprintf("role is %s, not %s", p.Info.Role, r.Role)
	case r.CPUCores > p.Hardware.CPUCores:
		return fmt.Sprintf("has %d cores and not %d", p.Hardware.CPUCores, r.CPUCores)
	case r.MemoryGB*gib > float64(p.Hardware.Memory):
		return fmt.Sprintf("has %.1f GiB of memory and not %.1f", float64(p.Hardware.Memory)/gib, r.MemoryGB)
	case r.StorageGB*gib > float64(p.Hardware.Disk):
		return fmt.Sprintf("has %.1f GiB of disk and not %.1f", float64(p.Hardware.Disk)/gib, r.StorageGB)
	case r.GPU && p.Hardware.GPU == "" && !slices.Contains(p.Capabilities, "gpu"):
		return "has no GPU"
	case r.Provision && !p.Provision:
		return "is of a version that knows neither files nor limits of tasks"
	case r.Secrets && !p.Secrets:
		return "is of a version that knows no secrets of tasks"
	case r.Sandbox > p.Sandbox:
		return fmt.Sprintf("confines tasks at level %d, not %d", p.Sandbox, r.Sandbox)
	}
	for _, tag := range r.Tags {
		if !slices.Contains(p.Tags, tag) {
			return "has no tag " + tag
		}
	}
	return ""
}

// needsKey is the same for the same needs, in whatever order the tags stand.
func needsKey(r *task.Requirements) string {
	if len(r.Tags) == 0 && r.CPUCores == 0 && r.MemoryGB == 0 && r.StorageGB == 0 && r.Platform == "" && r.Role == "" && r.Device == "" && !r.GPU && r.Sandbox == 0 && !r.Provision && !r.Secrets {
		return "" // nearly all tasks
	}
	return fmt.Sprintf("%d %g %g %s %s %s %t %d %t %t %s", r.CPUCores, r.MemoryGB, r.StorageGB, r.Platform, r.Role, r.Device, r.GPU, r.Sandbox, r.Provision, r.Secrets, strings.Join(sortedTags(r.Tags), ","))
}
