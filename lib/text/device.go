package text

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

var devices = &noun[device.Device]{
	name:   "devices",
	fields: []string{"id", "status", "cpu", "memory", "tasks", "slots", "role", "platform", "last_heartbeat", "reason"},
	record: deviceRecord,
	columns: []column{{title: "ID"}, {title: "STATUS"}, {title: "CPU", spare: 2}, {title: "MEMORY", spare: 3},
		{title: "RAM", right: true, spare: 5}, {title: "TASKS", right: true}, {title: "PLATFORM", spare: 6},
		{title: "LAST SEEN", spare: 1}, {title: "REASON", free: true, optional: true, spare: 4}},
	row: deviceRow,
}

// Devices prints a page of devices.
func (p *Printer) Devices(page []device.Device) error { return printPage(p, devices, page) }

func deviceRecord(d *device.Device) []field {
	info := &d.Profile.Info
	return []field{str(d.ID), str(d.Status), cpuOf(d), memoryOf(d), integer(d.ActiveTasks), integer(d.Profile.Slots),
		str(info.Role), str(info.Platform), moment(d.LastSeen), str(d.Reason)}
}

// cpuOf is in percent.
func cpuOf(d *device.Device) field {
	if d.Metrics.CPU == nil {
		return field{}
	}
	return decimal(*d.Metrics.CPU)
}

// memoryOf is the device's memory in units of 2^30 bytes.
func memoryOf(d *device.Device) field {
	if d.Profile.Hardware.Memory == 0 {
		return field{}
	}
	return decimal(float64(d.Profile.Hardware.Memory) / (1 << 30))
}

func deviceRow(d *device.Device, s Style) []cell {
	cpu, memory := load(d.Metrics.CPU), load(d.Metrics.Memory)
	if d.Status == device.Offline {
		cpu, memory = cell{"–", dim}, cell{"–", dim}
	}
	return []cell{{oneLine(d.ID), plain}, {oneLine(string(d.Status)), deviceColor(d.Status)}, cpu, memory,
		{sizeKnown(d.Profile.Hardware.Memory), plain},
		{fmt.Sprintf("%d/%d", d.ActiveTasks, d.Profile.Slots), plain},
		{oneLine(d.Profile.Info.Platform), plain},
		{s.ago(d.LastSeen), plain},
		freeText(d.Reason)}
}

// load is a percentage with a bar.
func load(percent *float64) cell {
	if percent == nil {
		return cell{"–", dim}
	}
	return cell{fmt.Sprintf("%s %3.0f%%", Bar(*percent/100, 5), *percent), loadColor(*percent)}
}

func loadColor(percent float64) color {
	switch {
	case percent >= 90:
		return red
	case percent >= 70:
		return yellow
	}
	return green
}

func deviceColor(s device.Status) color {
	switch s {
	case device.Online:
		return green
	case device.Draining, device.Paused:
		return yellow
	}
	return red
}

// freeText is a cell of which the beginning will do.
func freeText(s string) cell { return cell{cut(oneLine(s), maxCell), plain} }

func sizeKnown(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return Size(bytes)
}

// Device prints one device, and the tasks that it holds.
func (p *Printer) Device(d device.Device, holds []task.Task) error {
	switch p.format {
	case CSV, TSV:
		return p.Devices([]device.Device{d})
	case JSON:
		p.object(struct {
			*device.Device
			Tasks []task.Task `json:"tasks,omitempty"`
		}{&d, holds})
		return p.write()
	}
	p.turnTo("device " + d.ID)
	p.block(slices.Concat(p.deviceState(&d), deviceHardware(&d), deviceSystem(&d)))
	if p.format == Text {
		for i := range holds {
			p.line("holds: " + holds[i].ID.String() + " " + holds[i].State.String() + " " + Runs(&holds[i].Spec))
		}
		return p.write()
	}
	if len(holds) == 0 {
		return p.write()
	}
	return p.Tasks(holds)
}

func (p *Printer) deviceState(d *device.Device) []pair {
	m := &d.Metrics
	return []pair{
		{"id", d.ID, bold},
		{"status", string(d.Status), deviceColor(d.Status)},
		{"untrusted", yes(d.Untrusted), yellow},
		{"reason", d.Reason, plain},
		{"last_heartbeat", p.when(d.LastSeen), plain},
		{"joined", p.when(d.Joined), plain},
		{"tasks", fmt.Sprintf("%d of %d slots", d.ActiveTasks, d.Profile.Slots), plain},
		{"completed", fmt.Sprint(d.Completed), plain},
		{"failed", fmt.Sprint(d.Failed), plain},
		{"cpu", percentKnown(m.CPU), plain},
		{"memory", percentKnown(m.Memory), plain},
		{"disk", percentKnown(m.Disk), plain},
		{"load", loadAverage(m.Load), plain},
		{"temperature", number(m.Temperature, "%.1f °C"), plain},
		{"battery", battery(m), plain},
		{"power", number(m.Power, "%.1f W"), plain},
		{"uptime", uptimeKnown(m.Uptime), plain},
	}
}

func deviceHardware(d *device.Device) []pair {
	h := &d.Profile.Hardware
	return []pair{
		{"cpu_cores", unlessZero(int64(h.CPUCores)), plain},
		{"cpu_model", h.CPUModel, plain},
		{"cpu_max", clocks(h.CPUMHz), plain},
		{"cpu_speed", measured(h.CPUSpeed), plain},
		{"memory_total", sizeKnown(h.Memory), plain},
		{"disk_space", strings.TrimSpace(sizeKnown(h.Disk) + " " + h.DiskKind), plain},
		{"gpu", h.GPU, plain},
		{"network", h.Network, plain},
		{"interfaces", strings.Join(h.Interfaces, ", "), plain},
	}
}

func deviceSystem(d *device.Device) []pair {
	p, i := &d.Profile, &d.Profile.Info
	return []pair{
		{"hostname", i.Hostname, plain},
		{"address", d.Address, plain},
		{"platform", strings.TrimSpace(i.Platform + " " + i.Architecture), plain},
		{"os", i.OS, plain},
		{"kernel", i.Kernel, plain},
		{"model", i.Model, plain},
		{"virtual", i.Virtual, plain},
		{"python", i.Python, plain},
		{"role", i.Role, plain},
		{"tags", strings.Join(p.Tags, ", "), plain},
		{"capabilities", strings.Join(p.Capabilities, ", "), plain},
		{"task_types", strings.Join(p.TaskTypes, ", "), plain},
		{"tools", strings.Join(versioned(p), ", "), plain},
		{"version", p.Version, plain},
		{"sandbox", sandbox(p), plain},
		{"fingerprint", d.Fingerprint, plain},
	}
}

// clocks are the rates of cores, those that are alike together: 4×1.80 + 4×2.40 GHz.
func clocks(mhz []int) string {
	var kinds []string
	for i := 0; i < len(mhz); {
		n := 1
		for i+n < len(mhz) && mhz[i+n] == mhz[i] {
			n++
		}
		kinds = append(kinds, fmt.Sprintf("%d×%.2f", n, float64(mhz[i])/1000))
		i += n
	}
	if len(kinds) == 0 {
		return ""
	}
	return strings.Join(kinds, " + ") + " GHz"
}

func measured(speed float64) string {
	if speed == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f million numbers sorted in a second by one core", speed)
}

// versioned are the tools with their versions, where those are known.
func versioned(p *device.Profile) []string {
	tools := slices.Clone(p.Tools)
	for i, name := range tools {
		if v := p.Versions[name]; v != "" {
			tools[i] = name + " " + v
		}
	}
	return tools
}

// sandbox is the level of confinement, and what is missing for a higher one.
func sandbox(p *device.Profile) string {
	level := fmt.Sprintf("level %d", p.Sandbox)
	switch {
	case len(p.SandboxGaps) == 0 && p.Sandbox == 0:
		return "" // it does not say
	case len(p.SandboxGaps) == 0:
		return level
	}
	return level + "; " + strings.Join(p.SandboxGaps, "; ")
}

func percentKnown(v *float64) string { return number(v, "%.1f%%") }

func number(v *float64, format string) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(format, *v)
}

func loadAverage(load []float64) string {
	texts := make([]string, len(load))
	for i, v := range load {
		texts[i] = fmt.Sprintf("%.2f", v)
	}
	return strings.Join(texts, " ")
}

func battery(m *device.Metrics) string {
	s := number(m.Battery, "%.0f%%")
	if m.Charging != nil && *m.Charging {
		s = strings.TrimSpace(s + " charging")
	}
	return s
}

func uptimeKnown(s *int64) string {
	if s == nil {
		return ""
	}
	return Uptime(seconds(float64(*s)))
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

func unlessZero(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
