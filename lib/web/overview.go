package web

import (
	"fmt"
	"strconv"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// pageTasks is how many of the newest tasks the first page shows.
const pageTasks = 20

// overview is what the first page shows where the terminal cannot run.
type overview struct {
	Nonce   string // of styles
	Tiles   []tile
	Devices []deviceCard
	More    int // devices
	Tasks   []taskRow
}

// tile is one figure.
type tile struct {
	Title, Value, Note string
	Bar                *bar
}

// bar is a share, in percent.
type bar struct {
	Percent int
	Kind    string // of colour
}

func (s *Server) home(v *viewer, nonce string) error {
	if err := v.q.check(); err != nil {
		return err
	}
	devices, err := v.Devices(v.ctx)
	if err != nil {
		return err
	}
	tasks, err := collect(v.Tasks(v.ctx, wire.ListTasks{Newest: true, Limit: pageTasks}))
	if err != nil {
		return err
	}
	o := &overview{Nonce: nonce, Tiles: tilesOf(&v.status), Tasks: taskRowsOf(tasks, v.now)}
	sortDevices(devices)
	shown := devices[:min(len(devices), homeDevices)]
	o.Devices, o.More = s.cardsOf(shown, v.now), len(devices)-len(shown)
	v.Title, v.Body = string(v.status.Health), o
	return nil
}

func tilesOf(s *cluster.Status) []tile {
	return []tile{
		{"Devices", fmt.Sprintf("%d/%d", s.DevicesOnline, s.DevicesTotal), "online", nil},
		{"CPU", fmt.Sprintf("%.0f%%", s.CPU), plural(int64(s.Cores), "core"), loadBar(s.CPU)},
		{"Memory", fmt.Sprintf("%.0f%%", s.MemoryUsed), text.Size(s.Memory), loadBar(s.MemoryUsed)},
		{"Slots", fmt.Sprintf("%d/%d", s.SlotsBusy, s.Slots), "busy", shareBar(s.SlotsBusy, s.Slots)},
		{"Queue", strconv.FormatInt(s.TasksQueued, 10), "waiting", nil},
		{"Today", strconv.FormatInt(s.CompletedToday, 10), "completed", nil},
	}
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

func loadBar(percent float64) *bar {
	b := &bar{int(min(max(percent, 0), 100) + 0.5), "low"}
	switch {
	case percent >= 90:
		b.Kind = "high"
	case percent >= 70:
		b.Kind = "middle"
	}
	return b
}

func shareBar(part, whole int) *bar {
	if whole == 0 {
		return &bar{0, "busy"}
	}
	return &bar{min(100*part/whole, 100), "busy"}
}

// brief is the beginning of a text, in one line.
func brief(s string) string {
	const most = 160
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return text.Sanitize(s)
}
