package text

import (
	"fmt"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

var statuses = &noun[cluster.Status]{
	name: "status",
	fields: []string{"health", "main_node", "version", "started", "uptime", "devices_total", "devices_online",
		"cpu_cores", "cpu_usage", "memory_total", "memory_usage", "slots", "slots_busy", "tasks_active",
		"tasks_queued", "tasks_completed_today", "last_event"},
	record: statusRecord,
}

// Status prints how the cluster stands.
func (p *Printer) Status(s cluster.Status) error {
	switch {
	case p.format == Table:
		p.turnTo(statuses.name)
		p.overview(&s)
	case p.format == Text && p.picked == nil:
		p.turnTo(statuses.name)
		p.statusLines(&s)
	default:
		return printPage(p, statuses, []cluster.Status{s})
	}
	return p.write()
}

func statusRecord(s *cluster.Status) []field {
	return []field{str(s.Health), str(s.MainNode), str(s.Version), moment(s.Started), integer(s.Uptime),
		integer(s.DevicesTotal), integer(s.DevicesOnline), integer(s.Cores), decimal(s.CPU), integer(s.Memory),
		decimal(s.MemoryUsed), integer(s.Slots), integer(s.SlotsBusy), integer(s.TasksActive),
		integer(s.TasksQueued), integer(s.CompletedToday), integer(s.LastEvent)}
}

// statusLines prints the lines of the first Retire-Cluster, and more behind them.
func (p *Printer) statusLines(s *cluster.Status) {
	say := func(format string, args ...any) { p.line(Sanitize(fmt.Sprintf(format, args...))) }
	say("STATUS: %s", s.Health)
	say("NODES: %d/%d online", s.DevicesOnline, s.DevicesTotal)
	say("CPU: %d cores (%.0f%% utilized)", s.Cores, s.CPU)
	say("MEMORY: %.0fGB (%.0f%% used)", float64(s.Memory)/(1<<30), s.MemoryUsed)
	say("TASKS: %d active, %d completed today", s.TasksActive, s.CompletedToday)
	say("UPTIME: %s", Uptime(seconds(float64(s.Uptime))))
	say("QUEUE: %d waiting", s.TasksQueued)
	say("SLOTS: %d/%d busy", s.SlotsBusy, s.Slots)
	say("VERSION: %s", s.Version)
	if s.Storage != "" {
		say("STORAGE: %s", s.Storage)
	}
}

// overview prints the status for people.
func (p *Printer) overview(s *cluster.Status) {
	first := []string{
		p.style.paint(oneLine(s.MainNode), bold),
		p.style.paint(oneLine(string(s.Health)), healthColor(s.Health)),
		"up " + Uptime(seconds(float64(s.Uptime))),
		p.style.paint(oneLine(s.Version), dim),
	}
	p.line(strings.TrimSpace(strings.Join(first, "  ")))
	if s.Storage != "" {
		p.line(p.style.paint(oneLine(s.Storage), red))
	}
	p.line("")
	p.line("Devices  " + p.devicesBy(s))
	p.gauge("Slots", share(s.SlotsBusy, s.Slots), cyan, fmt.Sprintf("%d of %d busy", s.SlotsBusy, s.Slots))
	p.gauge("CPU", s.CPU, loadColor(s.CPU), count(s.Cores, "core"))
	p.gauge("Memory", s.MemoryUsed, loadColor(s.MemoryUsed), Size(s.Memory))
	p.line("Tasks    " + p.tasksBy(s))
	p.line(fmt.Sprintf("         %d completed today", s.CompletedToday))
}

func healthColor(h cluster.Health) color {
	switch h {
	case cluster.Healthy:
		return green
	case cluster.Down:
		return red
	}
	return yellow
}

// gauge prints a percentage as a bar.
func (p *Printer) gauge(name string, value float64, c color, text string) {
	width := 20
	if p.style.width() < 60 {
		width = 10
	}
	bar := fmt.Sprintf("%s %3.0f%%", Bar(value/100, width), value)
	p.line(pad(name, 9, false) + p.style.paint(bar, c) + "  " + text)
}

func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func (p *Printer) devicesBy(s *cluster.Status) string {
	var parts []string
	for _, status := range device.Statuses {
		if n := s.Devices[status]; n > 0 {
			parts = append(parts, p.style.paint(fmt.Sprintf("%d %s", n, status), deviceColor(status)))
		}
	}
	return orNone(parts)
}

func (p *Printer) tasksBy(s *cluster.Status) string {
	var parts []string
	for _, state := range task.States() {
		if n := s.Tasks[state.String()]; n > 0 {
			parts = append(parts, p.style.paint(fmt.Sprintf("%d %s", n, state), stateColor(state)))
		}
	}
	return orNone(parts)
}

func orNone(parts []string) string {
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, " · ")
}
