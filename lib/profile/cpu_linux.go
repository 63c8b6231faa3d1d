package profile

import (
	"context"
	"runtime"
	"strconv"
	"strings"
)

// cores counts the cores. A phone's sleeping cores count, as it wakes them for work; a container counts only
// those that it was given.
func (m *machine) cores() int {
	file := "online"
	if m.android {
		file = "present"
	}
	n := parseCPUList(text(m.Sys, "devices/system/cpu", file))
	switch {
	case n == 0:
		return runtime.NumCPU()
	case !m.android && !m.fake:
		return min(n, runtime.NumCPU())
	}
	return n
}

// parseCPUList counts the cores in a list like "0-3,6".
func parseCPUList(s string) int {
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return 0
		}
		b := a
		if ranged {
			if b, err = strconv.ParseUint(last, 10, 16); err != nil || b < a {
				return 0
			}
		}
		n += int(b-a) + 1
	}
	return n
}

func (m *machine) cpuModel(ctx context.Context) string {
	if soc := m.prop(ctx, "ro.soc.model"); soc != "" {
		return soc
	}
	return parseCPUModel(text(m.Proc, "cpuinfo"))
}

// parseCPUModel finds the processor's name in /proc/cpuinfo. On ARM "Hardware" names the chip, "model name" only
// the kind of core, and 64-bit kernels have neither.
func parseCPUModel(s string) string {
	for _, key := range []string{"Hardware", "model name", "cpu model", "uarch"} {
		if v := value(s, key, ":"); v != "" {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	if value(s, "CPU implementer", ":") == "0x41" {
		return armCores[value(s, "CPU part", ":")]
	}
	return ""
}

// armCores are the cores that retired boards and phones have.
var armCores = map[string]string{
	"0xb76": "ARM1176", "0xc07": "Cortex-A7", "0xc08": "Cortex-A8", "0xc09": "Cortex-A9", "0xc0f": "Cortex-A15",
	"0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
	"0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd41": "Cortex-A78",
}
